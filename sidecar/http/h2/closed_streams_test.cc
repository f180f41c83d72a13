#include "sidecar/http/h2/closed_streams.h"

#include <string_view>
#include <vector>

#include "gtest/gtest.h"
#include "sidecar/http/h2/frame_headers.h"
#include "sidecar/io/buffer.h"

namespace weft::http::h2 {
namespace {

using Late = ClosedStreams::Late;

TEST(ClosedStreamsTest, ALateFrameIsAnErrorOnlyIfNobodyCanHaveMissedTheEnd) {
  ClosedStreams streams;
  streams.OnOpened(1);
  streams.OnOpened(3);
  EXPECT_EQ(streams.last(), 3);
  EXPECT_EQ(streams.Judge(1), Late::kAfterItsEnd);
  streams.OnResetByPeer(3);
  EXPECT_EQ(streams.Judge(3), Late::kAfterItsReset);
  streams.OnResetByUs(3);
  EXPECT_EQ(streams.Judge(3), Late::kUnderway);
  streams.OnOpened(5);
  EXPECT_EQ(streams.Judge(5), Late::kAfterItsEnd);
}

TEST(ClosedStreamsTest, ASkippedNumberIsNoStream) {
  ClosedStreams streams;
  streams.OnOpened(5);
  EXPECT_EQ(streams.Judge(1), Late::kOnSkippedNumber);
  EXPECT_EQ(streams.Judge(3), Late::kOnSkippedNumber);
  EXPECT_EQ(streams.Judge(5), Late::kAfterItsEnd);
  streams.OnOpened(7);
  EXPECT_EQ(streams.Judge(3), Late::kOnSkippedNumber);
}

TEST(FrameHeadersTest, AreFoundInPiecesOfEverySize) {
  // A preface of three bytes, SETTINGS without a payload, DATA of two bytes on stream 7, HEADERS.
  constexpr std::string_view kBytes("pri\0\0\0\4\0\0\0\0\0\0\0\2\0\1\0\0\0\7xx\0\0\1\1\0\0\0\0\x9h",
                                    3 + 9 + 9 + 2 + 9 + 1);
  for (size_t piece = 1; piece <= kBytes.size(); ++piece) {
    FrameHeaders frames(3);
    std::vector<int> types;
    std::vector<int32_t> streams;
    for (size_t from = 0; from < kBytes.size(); from += piece) {
      const auto bytes = io::AsBytes(kBytes.substr(from, piece));
      for (size_t at = 0; at < bytes.size();) {
        at += frames.Advance(bytes.subspan(at));
        if (!frames.complete()) continue;
        types.push_back(frames.type());
        streams.push_back(frames.stream_id());
      }
    }
    EXPECT_EQ(types, (std::vector<int>{4, 0, 1})) << piece;
    EXPECT_EQ(streams, (std::vector<int32_t>{0, 7, 9})) << piece;
  }
}

}  // namespace
}  // namespace weft::http::h2
