// What every subcommand of meshctl can be told.
#ifndef WEFT_TOOLS_MESHCTL_OPTIONS_H_
#define WEFT_TOOLS_MESHCTL_OPTIONS_H_

#include <string>

namespace weft::meshctl {

enum class Format { kTable, kJson, kYaml };

struct Options {
  std::string name_space;
  bool all_namespaces = false;
  Format format = Format::kTable;
  std::string control_plane = "127.0.0.1:15012";
  std::string state;  // the control plane's state directory, for root.pem and operator-token

  // The namespace that a list is limited to; empty: all.
  std::string ListNamespace() const { return all_namespaces ? "" : name_space; }
};

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_OPTIONS_H_
