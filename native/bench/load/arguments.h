// Parses the `key=value` arguments of a command line.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <map>
#include <string>

namespace nexus::load {

class Arguments {
 public:
  Arguments(int argc, char** argv, int first) {
    for (int i = first; i < argc; ++i) {
      const std::string argument = argv[i];
      const size_t at = argument.find('=');
      if (at != std::string::npos) values_[argument.substr(0, at)] = argument.substr(at + 1);
    }
  }
  int64_t Number(const std::string& name, int64_t otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : std::strtoll(found->second.c_str(), nullptr, 10);
  }
  std::string Text(const std::string& name, const std::string& otherwise) const {
    const auto found = values_.find(name);
    return found == values_.end() ? otherwise : found->second;
  }

 private:
  std::map<std::string, std::string> values_;
};

}  // namespace nexus::load
