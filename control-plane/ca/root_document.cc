#include "control-plane/ca/root_document.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/strings.h"
#include "base/x509_issuer.h"
#include "google/protobuf/util/json_util.h"
#include "google/protobuf/util/time_util.h"

namespace weft::ca {
namespace {

constexpr absl::string_view kRecordPrefix = "Weft-Rotation: ";
constexpr absl::string_view kNotice =
    "The certificate authority of a Weft mesh. It holds private keys: keep it secret.\n";
constexpr absl::string_view kKeyBegin = "-----BEGIN ";
constexpr absl::string_view kKeyKind = "PRIVATE KEY-----";

absl::Status Wrong(absl::string_view what) { return absl::FailedPreconditionError(what); }

// The text from each "-----BEGIN ... PRIVATE KEY-----" on.
std::vector<std::string_view> KeyBlocks(std::string_view text) {
  std::vector<std::string_view> blocks;
  for (size_t at = text.find(ToStd(kKeyBegin)); at != std::string_view::npos;
       at = text.find(ToStd(kKeyBegin), at + 1)) {
    const std::string_view line = text.substr(at, text.find('\n', at) - at);
    if (line.ends_with(ToStd(kKeyKind)) || line.ends_with("PRIVATE KEY-----\r")) {
      blocks.push_back(text.substr(at));
    }
  }
  return blocks;
}

absl::Status CheckRoot(const x509::Certificate& root, absl::Time now) {
  if (!root.IsCa()) return Wrong("the certificate is not a CA certificate");
  if (!root.IsSelfSigned()) return Wrong("the certificate is not self-signed");
  if (now >= root.NotAfter()) {
    return Wrong(absl::StrCat("the certificate expired at ",
                              absl::FormatTime(root.NotAfter(), absl::UTCTimeZone())));
  }
  if (now < root.NotBefore()) {
    return Wrong(absl::StrCat("the certificate is valid only from ",
                              absl::FormatTime(root.NotBefore(), absl::UTCTimeZone()),
                              "; is this machine's clock right?"));
  }
  return absl::OkStatus();
}

absl::StatusOr<RotationRecord> ParseRecord(std::string_view text) {
  RotationRecord record;
  for (absl::string_view line : absl::StrSplit(ToAbsl(text), '\n')) {
    if (absl::StartsWith(line, "-----BEGIN")) break;
    if (!absl::ConsumePrefix(&line, kRecordPrefix)) continue;
    google::protobuf::util::JsonParseOptions options;
    options.ignore_unknown_fields = true;
    const auto parsed = google::protobuf::util::JsonStringToMessage(
        std::string(absl::StripAsciiWhitespace(line)), &record, options);
    if (!parsed.ok() || !RotationRecord::Phase_IsValid(record.phase())) {
      return Wrong("its line \"Weft-Rotation:\" cannot be read");
    }
    break;
  }
  return record;
}

absl::Status AppendRoot(const Root& root, std::string& text) {
  absl::StatusOr<std::string> certificate = root.certificate.ToPem();
  if (!certificate.ok()) return certificate.status();
  text += *certificate;
  if (!root.key.has_value()) return absl::OkStatus();
  absl::StatusOr<std::string> key = root.key->ToPem();
  if (!key.ok()) return key.status();
  text += *key;
  return absl::OkStatus();
}

}  // namespace

absl::Time ToAbslTime(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixNanos(google::protobuf::util::TimeUtil::TimestampToNanoseconds(timestamp));
}

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  return google::protobuf::util::TimeUtil::NanosecondsToTimestamp(absl::ToUnixNanos(time));
}

absl::StatusOr<Root> NewRoot(std::string_view trust_domain, absl::Time now) {
  absl::StatusOr<x509::PrivateKey> key = x509::PrivateKey::Generate();
  if (!key.ok()) return key.status();
  x509::RootOptions options;
  options.common_name = absl::StrCat("Weft root of ", ToAbsl(trust_domain));
  if (options.common_name.size() > 64) options.common_name = "Weft mesh root";
  absl::StatusOr<x509::Certificate> certificate = x509::IssueRoot(*key, options, now);
  if (!certificate.ok()) return certificate.status();
  return Root{*std::move(certificate), *std::move(key)};
}

absl::StatusOr<RootDocument> RootDocument::Parse(std::string_view text, absl::Time now) {
  if (text.size() > kMaxDocumentBytes) {
    return Wrong(absl::StrCat("it is larger than ", kMaxDocumentBytes, " bytes"));
  }
  absl::StatusOr<RotationRecord> record = ParseRecord(text);
  if (!record.ok()) return record.status();
  absl::StatusOr<std::vector<x509::Certificate>> certificates =
      x509::Certificate::ListFromPem(text);
  if (!certificates.ok()) return Wrong(certificates.status().message());
  const bool rotating = record->phase() != RotationRecord::STABLE;
  const size_t roots = rotating ? 2 : 1;
  if (certificates->size() != roots) {
    return Wrong(absl::StrCat("it holds ", certificates->size(), " certificates; ",
                              rotating ? "two roots are" : "one root is", " expected"));
  }
  const size_t keys = rotating && record->phase() != RotationRecord::SIGNING ? 2 : 1;
  const std::vector<std::string_view> blocks = KeyBlocks(text);
  if (blocks.size() > keys) {
    return Wrong(absl::StrCat("it holds ", blocks.size(), " private keys; ", keys, " expected"));
  }
  std::vector<Root> parsed;
  for (size_t i = 0; i < roots; ++i) {
    const x509::Certificate& certificate = (*certificates)[i];
    Root root{certificate, std::nullopt};
    if (i < keys) {
      absl::StatusOr<x509::PrivateKey> key =
          x509::PrivateKey::FromPem(i < blocks.size() ? blocks[i] : std::string_view());
      if (!key.ok()) return Wrong(key.status().message());
      if (!certificate.BelongsTo(*key)) {
        return Wrong("the key does not belong to the certificate");
      }
      root.key = *std::move(key);
    }
    // An old root may end while it waits to be retired: nobody signs with it.
    const bool retiring = i == 1 && record->phase() == RotationRecord::SIGNING;
    if (absl::Status valid = CheckRoot(certificate, now); !valid.ok() && !retiring) return valid;
    parsed.push_back(std::move(root));
  }
  RootDocument document{std::move(parsed[0]), std::nullopt, *std::move(record)};
  if (rotating) document.other = std::move(parsed[1]);
  return document;
}

absl::StatusOr<std::string> RootDocument::ToText() const {
  std::string text;
  if (record.generation() > 0) {
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(record, &json).ok()) {
      return absl::InternalError("the rotation's record cannot be written as JSON");
    }
    absl::StrAppend(&text, kNotice, kRecordPrefix, json, "\n");
  }
  if (absl::Status appended = AppendRoot(signing, text); !appended.ok()) return appended;
  if (other.has_value()) {
    if (absl::Status appended = AppendRoot(*other, text); !appended.ok()) return appended;
  }
  return text;
}

std::vector<x509::Certificate> RootDocument::Trusted() const {
  if (!other.has_value()) return {signing.certificate};
  if (record.phase() == RotationRecord::CONFIRMED) {
    return {other->certificate, signing.certificate};
  }
  return {signing.certificate, other->certificate};
}

}  // namespace weft::ca
