#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "injector/patch/yaml.h"
#include "tools/meshctl/inject_manifest.h"

namespace weft::meshctl {
namespace {

using inject::Json;
using inject::Verdict;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr char kStream[] = R"(# A shop.
apiVersion: v1
kind: Service   # stays as it is
metadata: {name: web}
spec: {ports: [{port: 0x50}]}
--- # the workload
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  replicas: 2
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
      - name: web
        image: "web:1"
        command: [sh, -c, "echo 'a: b' # c"]
        env: [{name: MODE, value: "0644"}, {name: ON, value: "yes"}]
        volumeMounts: []
      volumes:
      - name: files
        secret: {secretName: files, defaultMode: 0640}
---
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data:
  script: |
    ---
    not a document
)";

InjectedManifest Injected(std::string_view text) {
  absl::StatusOr<InjectedManifest> manifest = InjectManifest(text, "shop", {});
  EXPECT_TRUE(manifest.ok()) << manifest.status();
  return manifest.ok() ? *std::move(manifest) : InjectedManifest();
}

TEST(InjectManifestTest, OnlyWorkloadsChange) {
  const InjectedManifest manifest = Injected(kStream);
  const std::string input = kStream;
  EXPECT_THAT(manifest.text, StartsWith(input.substr(0, input.find("apiVersion: apps"))));
  EXPECT_THAT(manifest.text, ::testing::EndsWith(input.substr(input.find("---\n---\n"))));
  ASSERT_EQ(manifest.objects.size(), 1);
  EXPECT_EQ(manifest.objects[0].name, "Deployment shop/web");

  const auto before = inject::ParseYaml(input);
  const auto after = inject::ParseYaml(manifest.text);
  ASSERT_TRUE(after.ok()) << after.status() << manifest.text;
  ASSERT_EQ(after->size(), before->size());
  const Json& old_spec = before->at(1)["spec"]["template"]["spec"];
  const Json& new_spec = after->at(1)["spec"]["template"]["spec"];
  EXPECT_EQ(new_spec["containers"], old_spec["containers"]);
  EXPECT_EQ(new_spec["volumes"][0], old_spec["volumes"][0]);
  EXPECT_EQ(new_spec["volumes"][0]["secret"]["defaultMode"], 0640);
  EXPECT_EQ(new_spec["initContainers"][1]["name"], "weft-sidecar");
  EXPECT_EQ(after->at(1)["spec"]["replicas"], 2);
  EXPECT_EQ(Injected(manifest.text).text, manifest.text) << "a second time changes nothing";
}

TEST(InjectManifestTest, EveryKindOfWorkloadHasItsPod) {
  const struct {
    const char* object;
    const char* pod;
  } cases[] = {
      {"apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: POD", ""},
      {"apiVersion: v1\nkind: ReplicationController\nspec: {template: {spec: POD}}",
       "/spec/template"},
      {"apiVersion: apps/v1\nkind: DaemonSet\nspec: {template: {spec: POD}}", "/spec/template"},
      {"apiVersion: apps/v1\nkind: StatefulSet\nspec: {template: {spec: POD}}", "/spec/template"},
      {"apiVersion: apps/v1\nkind: ReplicaSet\nspec: {template: {spec: POD}}", "/spec/template"},
      {"apiVersion: batch/v1\nkind: Job\nspec: {template: {spec: POD}}", "/spec/template"},
      {"apiVersion: batch/v1\nkind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: POD}}}}",
       "/spec/jobTemplate/spec/template"},
      {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, spec: POD}", "/items/0"},
  };
  for (const auto& test : cases) {
    std::string text = test.object;
    text.replace(text.find("POD"), 3, "{containers: [{name: a}]}");
    const InjectedManifest manifest = Injected(text);
    const auto after = inject::ParseYaml(manifest.text);
    ASSERT_TRUE(after.ok());
    const Json pod = after->at(0).at(Json::json_pointer(test.pod));
    EXPECT_EQ(pod["spec"]["initContainers"][0]["name"], "weft-init") << test.object;
    EXPECT_EQ(pod["metadata"]["labels"]["weft.io/meshed"], "true") << test.object;
  }
}

TEST(InjectManifestTest, WhatIsNoWorkloadOfOursIsPassedOn) {
  for (const char* text :
       {"", "\n", "---\n", "# only a comment\n", "apiVersion: example.org/v1\nkind: Deployment\n",
        "just text", "{\"kind\": \"Service\"}", "- a\n- b\n", "kind: List\nitems: 3\n",
        "apiVersion: v1\nkind: Service\n...\n"}) {
    const InjectedManifest manifest = Injected(text);
    EXPECT_EQ(manifest.text, text);
    EXPECT_TRUE(manifest.objects.empty()) << text;
  }
}

TEST(InjectManifestTest, JsonStaysJsonWithItsIndent) {
  const std::string pod =
      R"({"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"name":"a"}]}})";
  const InjectedManifest compact = Injected(pod);
  EXPECT_THAT(compact.text, StartsWith(R"({"kind":"Pod","apiVersion":"v1","spec":{"containers")"));
  EXPECT_THAT(compact.text, Not(HasSubstr("\n")));
  const InjectedManifest indented = Injected(Json::parse(pod).dump(4) + "\n");
  EXPECT_THAT(indented.text, StartsWith("{\n    \"kind\": \"Pod\""));
  EXPECT_THAT(indented.text, ::testing::EndsWith("}\n"));
}

TEST(InjectManifestTest, ANamespaceOfTheSameTextDecides) {
  const InjectedManifest manifest = Injected(R"(
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: quiet}
spec: {containers: [{name: a}]}
---
apiVersion: v1
kind: Namespace
metadata: {name: quiet, annotations: {weft.io/inject: disabled}}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: kube-system}
spec: {containers: [{name: a}]}
---
apiVersion: v1
kind: Pod
metadata: {generateName: c-, annotations: {weft.io/inject: disabled}}
spec: {containers: [{name: a}]}
)");
  ASSERT_EQ(manifest.objects.size(), 3);
  EXPECT_EQ(manifest.objects[0].decision.reason, "disabled");
  EXPECT_EQ(manifest.objects[1].decision.reason, "excluded-namespace");
  EXPECT_EQ(manifest.objects[2].name, "Pod shop/c-*");
  EXPECT_EQ(manifest.objects[2].decision.reason, "disabled");
}

TEST(InjectManifestTest, ErrorsNameDocumentAndField) {
  EXPECT_THAT(InjectManifest("a: 1\n---\nb: [\n", "", {}).status().message(),
              StartsWith("document 2: line"));
  EXPECT_THAT(InjectManifest("---\na: 1\na: 2\n", "", {}).status().message(),
              StartsWith("document 1: line"));
  const InjectedManifest manifest =
      Injected("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: x}\nspec: {}\n");
  ASSERT_EQ(manifest.objects.size(), 1);
  EXPECT_EQ(manifest.objects[0].decision.verdict, Verdict::kRefuse);
  EXPECT_EQ(manifest.objects[0].decision.field, "spec.jobTemplate.spec.template.spec");
}

// The program itself.
class InjectProgramTest : public ::testing::Test {
 protected:
  struct Result {
    int code;
    std::string out, err;
  };

  Result Run(const std::string& arguments, const std::string& input = "") {
    Write("in", input);
    const std::string command = "tools/meshctl/meshctl inject " + arguments + " < " + Path("in") +
                                " > " + Path("out") + " 2> " + Path("err");
    const int status = std::system(command.c_str());
    return {WEXITSTATUS(status), Read("out"), Read("err")};
  }

  std::string Path(const std::string& name) { return ::testing::TempDir() + "/" + name; }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(Path(name)) << text;
  }
  std::string Read(const std::string& name) {
    std::stringstream text;
    text << std::ifstream(Path(name)).rdbuf();
    return text.str();
  }
};

TEST_F(InjectProgramTest, PrintsManifestsToOutputAndASummaryToError) {
  const Result result = Run("-f -", kStream);
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("name: weft-sidecar"));
  EXPECT_EQ(result.err,
            "Deployment shop/web: injected\n1 injected, 0 left as they are, 0 refused\n");
}

TEST_F(InjectProgramTest, TakesSettingsAndANamespace) {
  Write("settings.yaml", "image: registry.example/sidecar:7\n");
  Write("pod.yaml", "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a}]}\n");
  const Result result =
      Run("-n tea -f " + Path("pod.yaml") + " --settings " + Path("settings.yaml"));
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("image: registry.example/sidecar:7"));
  EXPECT_THAT(result.err, StartsWith("Pod tea/*: injected\n"));
}

TEST_F(InjectProgramTest, FailsWithoutHalfAnAnswer) {
  Write("bad.yaml", "imge: x\n");
  const struct {
    std::string arguments;
    std::string input;
    int code;
    const char* error;
  } cases[] = {
      {"", "", 2, "--filename is required"},
      {"-f " + Path("missing.yaml"), "", 1, "missing.yaml: cannot be opened"},
      {"-f - --settings " + Path("bad.yaml"), "", 2, "bad.yaml: imge: there is no such setting"},
      {"-f -", "a: [\n", 1, "standard input: document 1: line"},
      {"-f -", std::string(kStream) + "---\napiVersion: v1\nkind: Pod\nmetadata: {name: x}\n", 1,
       "Pod default/x: refused: spec: expected an object"},
  };
  for (const auto& test : cases) {
    const Result result = Run(test.arguments, test.input);
    EXPECT_EQ(result.code, test.code) << test.arguments << result.err;
    EXPECT_EQ(result.out, "") << test.arguments;
    EXPECT_THAT(result.err, HasSubstr(test.error));
  }
}

}  // namespace
}  // namespace weft::meshctl
