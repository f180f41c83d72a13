// "meshctl completion": scripts for shells, made from the commands as they are declared.
#ifndef WEFT_TOOLS_MESHCTL_COMPLETION_H_
#define WEFT_TOOLS_MESHCTL_COMPLETION_H_

#include <string>
#include <string_view>

#include "CLI/CLI.hpp"

namespace weft::meshctl {

// The script for "bash", "zsh" or "fish"; empty for any other shell.
std::string CompletionScript(const CLI::App& app, std::string_view shell);

}  // namespace weft::meshctl

#endif  // WEFT_TOOLS_MESHCTL_COMPLETION_H_
