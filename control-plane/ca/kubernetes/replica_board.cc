#include "control-plane/ca/kubernetes/replica_board.h"

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/strings.h"

namespace weft::ca {
namespace {

using Json = nlohmann::json;

// Silent for so long: worth asking whether the pod is still there.
constexpr absl::Duration kSilence = absl::Seconds(30);

uint64_t Number(const Json& json, const char* field) {
  const auto found = json.find(field);
  return found != json.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

}  // namespace

std::string ReportToJson(const ReplicaReport& report) {
  return Json{
      {"generation", report.generation},
      {"sidecars", report.sidecars},
      {"acknowledged", report.acknowledged},
      {"waiting", report.waiting},
      {"leafLifetimeSeconds", static_cast<uint64_t>(absl::ToInt64Seconds(
                                  absl::Ceil(report.leaf_lifetime, absl::Seconds(1))))},
      {"reported", absl::FormatTime(absl::RFC3339_sec, report.reported, absl::UTCTimeZone())}}
      .dump(-1, ' ', false, Json::error_handler_t::replace);
}

ReplicaReport ReportFromJson(std::string_view name, std::string_view json) {
  ReplicaReport report{.name = std::string(name)};
  const Json parsed = Json::parse(json, nullptr, false);
  if (!parsed.is_object()) return report;
  report.generation = Number(parsed, "generation");
  report.sidecars = static_cast<uint32_t>(Number(parsed, "sidecars"));
  report.acknowledged = static_cast<uint32_t>(Number(parsed, "acknowledged"));
  report.leaf_lifetime = absl::Seconds(Number(parsed, "leafLifetimeSeconds"));
  if (const auto waiting = parsed.find("waiting"); waiting != parsed.end() && waiting->is_array()) {
    for (const Json& workload : *waiting) {
      if (!workload.is_string() || report.waiting.size() == kMaxNamed) break;
      report.waiting.push_back(workload.get<std::string>());
    }
  }
  if (const auto reported = parsed.find("reported");
      reported != parsed.end() && reported->is_string()) {
    std::string error;
    if (!absl::ParseTime(absl::RFC3339_full, reported->get<std::string>(), &report.reported,
                         &error)) {
      report.reported = absl::InfinitePast();
    }
  }
  return report;
}

absl::Status ConfigMapBoard::Publish(const ReplicaReport& own) {
  const std::string json = ReportToJson(own);
  absl::Status left = objects_.Merge(name_, {{own.name, json}});
  if (!absl::IsNotFound(left)) return left;
  left = objects_.Create(name_, {{own.name, json}});
  return absl::IsAlreadyExists(left) ? objects_.Merge(name_, {{own.name, json}}) : left;
}

absl::StatusOr<std::vector<ReplicaReport>> ConfigMapBoard::Read(absl::Time now) {
  absl::StatusOr<DataObject> board = objects_.Get(name_);
  if (absl::IsNotFound(board.status())) return std::vector<ReplicaReport>();
  if (!board.ok()) return board.status();
  std::vector<ReplicaReport> reports;
  for (const auto& [name, json] : board->data) {
    ReplicaReport report = ReportFromJson(name, json);
    if (now - report.reported > kSilence) {
      absl::StatusOr<bool> exists = objects_.PodExists(name_.name_space, name);
      if (!exists.ok()) return exists.status();
      if (!*exists) {
        WEFT_LOG_INFO("replica {} is gone", name);
        if (absl::Status removed = objects_.Merge(name_, {{name, std::nullopt}}); !removed.ok()) {
          return removed;
        }
        continue;
      }
    }
    reports.push_back(std::move(report));
  }
  return reports;
}

}  // namespace weft::ca
