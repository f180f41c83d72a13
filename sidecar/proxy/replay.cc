#include "sidecar/proxy/replay.h"

namespace weft::proxy {

http::Incoming::Piece Replay::Peek() {
  if (at_ < kept_.size()) return {State::kData, kept_.bytes().subspan(at_)};
  return from_.Peek();
}

void Replay::Consume(size_t n) {
  if (at_ < kept_.size()) {
    at_ += n;
    return;
  }
  if (keeping_ && kept_.size() + n > kMaxBytes) Forget();
  if (keeping_) {
    kept_.Append(from_.Peek().data.first(n));
    at_ = kept_.size();
  }
  passed_ += n;
  from_.Consume(n);
}

void Replay::Forget() {
  keeping_ = false;
  if (at_ < kept_.size()) return;  // a repetition needs the rest
  kept_.Clear();
  kept_.Release();
  at_ = 0;
}

}  // namespace weft::proxy
