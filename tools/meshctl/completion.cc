#include "tools/meshctl/completion.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "base/strings.h"

namespace weft::meshctl {
namespace {

std::vector<std::string> FlagsOf(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_snames()) flags.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

std::vector<std::string> CommandsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

// One case per command path ("routes explain"): what may follow it.
void AppendCases(const CLI::App& app, const std::string& path,
                 const std::vector<std::string>& inherited, std::string& out) {
  std::vector<std::string> words = CommandsOf(app);
  for (const std::string& flag : FlagsOf(app)) words.push_back(flag);
  for (const std::string& flag : inherited) words.push_back(flag);
  absl::StrAppend(&out, "    '", path, "') words='", absl::StrJoin(words, " "), "' ;;\n");
  std::vector<std::string> below = inherited;
  for (const std::string& flag : FlagsOf(app)) {
    if (flag != "--help" && flag != "-h" && flag != "--version") below.push_back(flag);
  }
  for (const CLI::App* command : app.get_subcommands({})) {
    AppendCases(*command,
                path.empty() ? command->get_name() : absl::StrCat(path, " ", command->get_name()),
                below, out);
  }
}

// Words that are commands, in the order of their coming, make the path; so do the shells of
// "completion".
constexpr std::string_view kBash =
    R"bash(# bash completion for meshctl: source <(meshctl completion bash)
_meshctl_words() {
  local words
  case "$1" in
@CASES@    *) words='' ;;
  esac
  printf '%s' "$words"
}
_meshctl() {
  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD-1]}" path='' i
  case "$previous" in
    -o|--output) COMPREPLY=($(compgen -W 'table json yaml' -- "$current")); return ;;
    --state|--out|--kubeconfig) COMPREPLY=($(compgen -f -- "$current")); return ;;
    completion) COMPREPLY=($(compgen -W 'bash zsh fish' -- "$current")); return ;;
  esac
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "${COMP_WORDS[i]}" in
      @COMMANDS@) path="${path:+$path }${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=($(compgen -W "$(_meshctl_words "$path")" -- "$current"))
}
)bash";

void CollectCommands(const CLI::App& app, std::vector<std::string>& out) {
  for (const CLI::App* command : app.get_subcommands({})) {
    out.push_back(command->get_name());
    CollectCommands(*command, out);
  }
}

std::string Bash(const CLI::App& app) {
  std::string cases;
  AppendCases(app, "", {}, cases);
  std::vector<std::string> commands;
  CollectCommands(app, commands);
  return absl::StrReplaceAll(ToAbsl(kBash),
                             {{"@CASES@", cases}, {"@COMMANDS@", absl::StrJoin(commands, "|")}});
}

std::string QuoteFish(std::string_view text) {
  return absl::StrCat("'", absl::StrReplaceAll(ToAbsl(text), {{"\\", "\\\\"}, {"'", "\\'"}}), "'");
}

void AppendFish(const CLI::App& app, const std::string& condition, std::string& out) {
  const std::string when = condition.empty() ? "" : absl::StrCat(" -n ", QuoteFish(condition));
  for (const CLI::Option* option : app.get_options()) {
    std::string names;
    for (const std::string& name : option->get_snames()) absl::StrAppend(&names, " -s ", name);
    for (const std::string& name : option->get_lnames()) absl::StrAppend(&names, " -l ", name);
    if (names.empty()) continue;
    absl::StrAppend(&out, "complete -c meshctl", when, names,
                    option->get_items_expected_max() > 0 ? " -r" : "", " -d ",
                    QuoteFish(option->get_description()), "\n");
  }
  for (const CLI::App* command : app.get_subcommands({})) {
    const std::string here = app.get_parent() == nullptr ? "__fish_use_subcommand" : condition;
    absl::StrAppend(&out, "complete -c meshctl -f -n ", QuoteFish(here), " -a ",
                    command->get_name(), " -d ", QuoteFish(command->get_description()), "\n");
    AppendFish(*command, absl::StrCat("__fish_seen_subcommand_from ", command->get_name()), out);
  }
}

}  // namespace

std::string CompletionScript(const CLI::App& app, std::string_view shell) {
  if (shell == "bash") return absl::StrCat(Bash(app), "complete -F _meshctl meshctl\n");
  if (shell == "zsh") {
    return absl::StrCat(
        "#compdef meshctl\n# zsh completion for meshctl: source <(meshctl completion zsh)\n",
        "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n", Bash(app),
        "complete -F _meshctl meshctl\n");
  }
  if (shell == "fish") {
    std::string script =
        "# fish completion for meshctl: meshctl completion fish | source\n"
        "complete -c meshctl -n '__fish_seen_subcommand_from completion' -f -a 'bash zsh fish'\n";
    AppendFish(app, "", script);
    return script;
  }
  return "";
}

}  // namespace weft::meshctl
