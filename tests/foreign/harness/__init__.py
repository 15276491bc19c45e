"""The harness of the tests of foreign WebRTC stacks: services, clips, processes, the run and its
evaluation."""
