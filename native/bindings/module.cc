#include "bindings/bindings.h"

NB_MODULE(_engine, module) {
  using namespace nexus::bindings;
  module.doc() = "The media engine: commands in, events out, never a packet.";
  AddEnums(module);
  AddConfig(module);
  AddOptions(module);
  AddStats(module);
  AddEvents(module);
  AddTaps(module);
  AddEngine(module);
}
