// For tests: a directory of mode 0700 that vanishes with the object.
#ifndef WEFT_CONTROL_PLANE_CA_TEMPORARY_DIRECTORY_H_
#define WEFT_CONTROL_PLANE_CA_TEMPORARY_DIRECTORY_H_

#include <cstdlib>
#include <filesystem>
#include <string>

namespace weft::ca {

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* base = std::getenv("TEST_TMPDIR");
    path_ = std::string(base == nullptr ? "/tmp" : base) + "/weft-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& file) const { return path_ + "/" + file; }

 private:
  std::string path_;
};

}  // namespace weft::ca

#endif  // WEFT_CONTROL_PLANE_CA_TEMPORARY_DIRECTORY_H_
