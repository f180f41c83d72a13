#include "control-plane/source/directory.h"

#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "control-plane/source/manifest.h"

namespace weft::source {
namespace {

using weft::v1::Finding;

// How soon to look again at a directory that is missing or a file that is being written.
constexpr absl::Duration kRetry = absl::Milliseconds(500);

Finding Unreadable(std::string path, std::string message) {
  Finding finding;
  finding.set_severity(Finding::ERROR);
  finding.set_object(std::move(path));
  finding.set_reason("DirectoryUnreadable");
  finding.set_message(std::move(message));
  finding.set_remedy("make it readable; until then the objects it had stay in force");
  return finding;
}

// File times advance in steps of some milliseconds: a change in the same step as the last one
// cannot be told from it. The stamp of a file that has only just changed is made one that matches
// nothing, so that the file is read again when somebody looks next.
FileStamp Settled(FileStamp stamp) {
  constexpr absl::Duration kStep = absl::Milliseconds(20);
  if (absl::Now() - absl::FromUnixNanos(stamp.changed_ns) < kStep) stamp.inode = 0;
  return stamp;
}

}  // namespace

absl::StatusOr<std::unique_ptr<DirectorySource>> DirectorySource::Start(Options options,
                                                                        Sink sink) {
  while (options.path.size() > 1 && options.path.ends_with('/')) options.path.pop_back();
  absl::StatusOr<std::unique_ptr<DirectoryWatch>> watch = DirectoryWatch::Create();
  if (!watch.ok()) return watch.status();
  std::unique_ptr<DirectorySource> source =
      absl::WrapUnique(new DirectorySource(std::move(options), std::move(sink), *std::move(watch)));
  absl::Status status = source->Look();
  if (!status.ok()) return status;
  source->thread_ = std::thread([raw = source.get()] { raw->Follow(); });
  return source;
}

DirectorySource::DirectorySource(Options options, Sink sink, std::unique_ptr<DirectoryWatch> watch)
    : options_(std::move(options)), sink_(std::move(sink)), watch_(std::move(watch)) {}

DirectorySource::~DirectorySource() {
  watch_->Stop();
  if (thread_.joinable()) thread_.join();
}

std::vector<Finding> DirectorySource::Findings() const {
  absl::MutexLock lock(&mutex_);
  return findings_;
}

void DirectorySource::Follow() {
  absl::Status last;
  while (!watch_->stopped()) {
    const bool soon = unfinished_ || !last.ok();
    watch_->Wait(soon ? kRetry : options_.look, options_.quiet);
    if (watch_->stopped()) return;
    absl::Status status = Look();
    if (!status.ok() && last.ok()) WEFT_LOG_ERROR("{}", std::string(status.message()));
    last = std::move(status);
  }
}

absl::Status DirectorySource::Look() {
  // Directories are watched before they are read, so that no change falls in between.
  watch_->Begin();
  absl::StatusOr<FileTree> tree =
      WalkFiles(options_.path, [this](const std::string& directory) { watch_->Add(directory); });
  watch_->End();
  if (!tree.ok()) {
    Publish(tree.status(), {});
    return tree.status();
  }
  ReadChangedFiles(*tree);
  ForgetMissingFiles(*tree);
  std::vector<store::Update> updates = manifests_.TakeUpdates();
  Publish(absl::OkStatus(), *tree);
  if (!updates.empty()) sink_(std::move(updates));
  return absl::OkStatus();
}

void DirectorySource::ReadChangedFiles(const FileTree& tree) {
  unfinished_ = false;
  for (const auto& [path, stamp] : tree.files) {
    auto seen = seen_.find(path);
    if (seen != seen_.end() && seen->second == stamp) continue;
    if (watch_->IsBeingWritten(path)) {
      unfinished_ = true;
      continue;
    }
    seen_[path] = Settled(stamp);
    absl::StatusOr<std::string> bytes = ReadFile(path, options_.limits.bytes);
    if (!bytes.ok()) {
      WEFT_LOG_ERROR("manifest {}: {}", path, std::string(bytes.status().message()));
      manifests_.PutUnreadable(path, std::string(bytes.status().message()));
      continue;
    }
    Manifest manifest = ParseManifest(*bytes, path, options_.limits);
    for (const Finding& error : manifest.errors) {
      WEFT_LOG_ERROR("manifest {}: {} (field {}); what the file said before stays in force", path,
                     error.message(), error.field().empty() ? "-" : error.field());
    }
    manifests_.Put(path, std::move(manifest));
  }
}

void DirectorySource::ForgetMissingFiles(const FileTree& tree) {
  auto below_unreadable = [&tree](const std::string& path) {
    for (const auto& [directory, reason] : tree.unreadable) {
      if (absl::StartsWith(path, absl::StrCat(directory, "/"))) return true;
    }
    return false;
  };
  for (auto it = seen_.begin(); it != seen_.end();) {
    if (tree.files.contains(it->first) || below_unreadable(it->first)) {
      ++it;
    } else {
      manifests_.Remove(it->first);
      it = seen_.erase(it);
    }
  }
}

void DirectorySource::Publish(const absl::Status& status, const FileTree& tree) {
  std::vector<Finding> findings;
  if (!status.ok()) {
    findings.push_back(Unreadable(options_.path, std::string(status.message())));
  }
  for (const auto& [path, reason] : tree.unreadable) findings.push_back(Unreadable(path, reason));
  std::vector<Finding> of_files = manifests_.Findings();
  findings.insert(findings.end(), of_files.begin(), of_files.end());
  absl::MutexLock lock(&mutex_);
  findings_ = std::move(findings);
}

}  // namespace weft::source
