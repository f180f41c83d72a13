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

  // A control plane outside of Kubernetes.
  std::string control_plane;  // "127.0.0.1:15012"
  std::string state;          // its state directory, for root.pem and operator-token

  // Or one in a cluster, which kubectl reaches; empty: kubectl's own defaults.
  std::string context;
  std::string kubeconfig;
  std::string mesh_namespace = "weft-system";

  // Whether the cluster is meant.
  bool InCluster() const { return control_plane.empty() && state.empty(); }

  // The namespace that a list is limited to; empty: all.
  std::string ListNamespace() const { return all_namespaces ? "" : name_space; }
};

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_OPTIONS_H_
