"""What the tests of foreign WebRTC stacks share: services, clips, processes, the run and how it is judged."""
