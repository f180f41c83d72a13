#include "tools/meshctl/ca.h"

#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "base/strings.h"
#include "google/protobuf/util/time_util.h"
#include "tools/meshctl/control_plane.h"
#include "tools/meshctl/output.h"
#include "weft/v1/authority.grpc.pb.h"

namespace weft::meshctl {
namespace {

using Stub = v1::AuthorityService::Stub;
using Certificate = v1::AuthorityCertificate;
using Rotation = v1::RootRotation;

constexpr absl::Duration kLookAgain = absl::Seconds(1);
// A control plane that is replaced or loses its place comes back within so long.
constexpr absl::Duration kPatience = absl::Minutes(2);

std::string RoleName(const Certificate& certificate) {
  switch (certificate.role()) {
    case Certificate::SIGNING:
      return Paint(Colour::kGreen, "signing");
    case Certificate::NEXT:
      return Paint(Colour::kYellow, "next");
    case Certificate::RETIRING:
      return Paint(Colour::kYellow, "retiring");
    default:
      return "trusted";
  }
}

std::string PhaseWords(Rotation::Phase phase) {
  switch (phase) {
    case Rotation::ANNOUNCED:
      return "announced: the new root is trusted, the old one signs";
    case Rotation::CONFIRMED:
      return "confirmed: every replica has the new root, the old one signs";
    case Rotation::SIGNING:
      return "signing: the new root signs, the old one is still trusted";
    default:
      return "none";
  }
}

std::string Date(absl::Time time) {
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", time, absl::UTCTimeZone());
}

void AppendLine(std::string& text, std::string_view name, std::string_view value) {
  absl::StrAppendFormat(&text, "%-16s%s\n", ToAbsl(name), ToAbsl(value));
}

void AppendRotation(const Rotation& rotation, absl::Time now, std::string& text) {
  if (rotation.phase() == Rotation::STABLE) {
    AppendLine(text, "Rotation",
               rotation.has_finished()
                   ? absl::StrCat("none; the last one ended ", Date(ToTime(rotation.finished())))
                   : "none");
    return;
  }
  AppendLine(text, "Rotation", Paint(Colour::kYellow, PhaseWords(rotation.phase())));
  AppendLine(text, "Began",
             absl::StrCat(Date(ToTime(rotation.started())), ", this step ",
                          Age(now - ToTime(rotation.phase_since())), " ago"));
  for (const std::string& wait : rotation.waits()) AppendLine(text, "Waits for", wait);
  Table replicas({"REPLICA", "GENERATION", "SIDECARS", "ACKNOWLEDGED", "REPORTED"});
  for (const v1::AuthorityReplica& replica : rotation.replicas()) {
    replicas.Add({replica.name(), absl::StrCat(replica.generation()),
                  absl::StrCat(replica.sidecars()), absl::StrCat(replica.acknowledged()),
                  absl::StrCat(Age(now - ToTime(replica.reported())), " ago")});
  }
  if (!replicas.empty()) absl::StrAppend(&text, "\n", replicas.ToString());
}

// What has changed since the last look is worth a line.
std::string ProgressLine(const Rotation& rotation) {
  std::vector<std::string> waits;
  for (std::string wait : rotation.waits()) {
    // A time that runs down is not news every second.
    if (const size_t comma = wait.rfind(", ");
        comma != std::string::npos && wait.ends_with(" more")) {
      wait = absl::StrCat(wait.substr(0, comma), " until ", Date(ToTime(rotation.earliest())));
    }
    waits.push_back(std::move(wait));
  }
  return absl::StrCat(PhaseWords(rotation.phase()), waits.empty() ? "" : "; waits for ",
                      absl::StrJoin(waits, "; "));
}

absl::Status Follow(const Options& options, absl::StatusOr<ControlPlane> control_plane,
                    uint64_t generation) {
  // Beside JSON or YAML, progress is not part of the answer.
  std::ostream& out = options.format == Format::kTable ? std::cout : std::cerr;
  std::string last;
  absl::Time reached = absl::Now();
  while (true) {
    const absl::StatusOr<v1::GetAuthorityResponse> authority =
        control_plane.ok() ? control_plane->Call(&Stub::GetAuthority, v1::GetAuthorityRequest())
                           : control_plane.status();
    const absl::Time now = absl::Now();
    if (!authority.ok()) {
      if (now - reached > kPatience) return authority.status();
      absl::SleepFor(kLookAgain);
      // The root that a new connection verifies by has changed meanwhile, and perhaps the replica.
      control_plane = ControlPlane::Open(options);
      continue;
    }
    reached = now;
    const Rotation& rotation = authority->rotation();
    // A replica that lags behind does not know of it yet.
    if (rotation.generation() >= generation) {
      std::string line = ProgressLine(rotation);
      if (rotation.phase() == Rotation::STABLE) line = "done: the old root is retired";
      if (line != last) out << Date(now) << "  " << line << std::endl;
      if (rotation.phase() == Rotation::STABLE) return absl::OkStatus();
      last = std::move(line);
    }
    absl::SleepFor(kLookAgain);
  }
}

}  // namespace

std::string CaText(const v1::GetAuthorityResponse& authority, absl::Time now) {
  std::string text;
  AppendLine(
      text, "Source",
      absl::StrCat(authority.source(), authority.supplied() ? " (supplied by the user)" : ""));
  AppendLine(text, "Trust domain", authority.trust_domain());
  AppendLine(
      text, "Leaf lifetime",
      absl::FormatDuration(absl::Nanoseconds(
          google::protobuf::util::TimeUtil::DurationToNanoseconds(authority.leaf_lifetime()))));
  if (!authority.problem().empty()) {
    AppendLine(text, "Problem", Paint(Colour::kRed, authority.problem()));
  }
  if (authority.has_rotation()) AppendRotation(authority.rotation(), now, text);
  Table certificates({"CERTIFICATE", "ROLE", "VALID UNTIL", "FINGERPRINT (SHA-256)"});
  for (const Certificate& certificate : authority.certificates()) {
    certificates.Add({certificate.root() ? "root" : "intermediate", RoleName(certificate),
                      Date(ToTime(certificate.not_after())), certificate.fingerprint()});
  }
  absl::StrAppend(&text, "\n", certificates.ToString());
  return text;
}

absl::Status PrintCa(const Options& options) {
  absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
  if (!control_plane.ok()) return control_plane.status();
  const absl::StatusOr<v1::GetAuthorityResponse> authority =
      control_plane->Call(&Stub::GetAuthority, v1::GetAuthorityRequest());
  if (!authority.ok()) return authority.status();
  if (options.format != Format::kTable) return PrintMessage(*authority, options.format);
  std::cout << CaText(*authority, absl::Now());
  return absl::OkStatus();
}

absl::Status RotateCa(const Options& options, const CaRotation& rotation) {
  absl::StatusOr<ControlPlane> control_plane = ControlPlane::Open(options);
  if (!control_plane.ok()) return control_plane.status();
  const absl::StatusOr<v1::RotateRootResponse> begun =
      control_plane->Call(&Stub::RotateRoot, v1::RotateRootRequest());
  if (!begun.ok()) return begun.status();
  if (options.format != Format::kTable) {
    if (absl::Status printed = PrintMessage(*begun, options.format);
        !printed.ok() || rotation.no_wait) {
      return printed;
    }
  }
  if (rotation.no_wait) {
    std::cout << "A new root is announced; \"meshctl ca status\" shows how it goes on.\n";
    return absl::OkStatus();
  }
  return Follow(options, std::move(control_plane), begun->generation());
}

}  // namespace weft::meshctl
