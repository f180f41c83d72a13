#include "sidecar/http/message.h"

namespace weft::http {

void RequestHead::Clear() {
  method.clear();
  scheme.clear();
  authority.clear();
  path.clear();
  headers.Clear();
  version = Version::kHttp11;
  has_body = false;
  content_length.reset();
  expect_continue = false;
  upgrade.clear();
}

void ResponseHead::Clear() {
  status = 0;
  headers.Clear();
  has_body = false;
  content_length.reset();
  upgrade.clear();
}

}  // namespace weft::http
