// What fuzz targets of sessions have in common.
#ifndef WEFT_SIDECAR_HTTP_H2_FUZZ_TRANSPORT_H_
#define WEFT_SIDECAR_HTTP_H2_FUZZ_TRANSPORT_H_

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "sidecar/io/buffer.h"
#include "sidecar/io/event.h"
#include "sidecar/io/stream.h"

namespace weft::http::h2 {

// A transport in memory: what the fuzzer made to read, and nowhere to write to but now and then no
// room.
class FuzzTransport final : public io::Stream {
 public:
  // `preface` is read first. `speaks_first`: without it the peer waits until something was said to
  // it.
  FuzzTransport(std::string_view preface, std::span<const uint8_t> bytes, uint8_t seed,
                bool speaks_first)
      : preface_(io::AsBytes(preface)), bytes_(bytes), seed_(seed), may_speak_(speaks_first) {}

  io::IoResult Read(std::span<uint8_t> into) override {
    if (!may_speak_) return {io::IoResult::State::kWouldBlock};
    if (preface_.empty() && bytes_.empty()) return {io::IoResult::State::kEnd};
    const auto take = [&](auto& from) {
      const size_t n = std::min({from.size(), into.size(), size_t{1} + Next() * 8});
      std::copy_n(from.begin(), n, into.begin());
      from = from.subspan(n);
      return io::IoResult{io::IoResult::State::kOk, n};
    };
    if (!preface_.empty()) return take(preface_);
    if (Next() % 4 == 0) {
      readable_.Notify();
      return {io::IoResult::State::kWouldBlock};
    }
    return take(bytes_);
  }
  io::IoResult Write(std::span<const uint8_t> from) override {
    if (Next() % 4 == 0) {
      writable_.Notify();
      return {io::IoResult::State::kWouldBlock};
    }
    return {io::IoResult::State::kOk, std::min(from.size(), size_t{1} + Next() * 64)};
  }
  io::IoResult Flush() override {
    if (!may_speak_) readable_.Notify();
    may_speak_ = true;
    return {io::IoResult::State::kOk};
  }
  void ShutdownWrite() override {}
  void ResetOnClose() override {}
  io::Event& readable() override { return readable_; }
  io::Event& writable() override { return writable_; }
  bool peer_closed() const override { return false; }
  std::string error() const override { return ""; }

 private:
  uint8_t Next() { return seed_ = static_cast<uint8_t>(seed_ * 137 + 29); }

  std::span<const uint8_t> preface_;
  std::span<const uint8_t> bytes_;
  uint8_t seed_;
  bool may_speak_;
  io::Event readable_;
  io::Event writable_;
};

}  // namespace weft::http::h2

#endif  // WEFT_SIDECAR_HTTP_H2_FUZZ_TRANSPORT_H_
