#include "sidecar/http/h2/callbacks.h"

#include <algorithm>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "sidecar/http/h2/server_stream.h"
#include "sidecar/http/h2/session.h"
#include "sidecar/http/h2/stream.h"

namespace weft::http::h2 {
namespace {

// Too small pieces make too many frames: rather wait for the next record.
constexpr size_t kSmallestUsefulData = 1024;

Session& SessionOf(void* user_data) { return *static_cast<Session*>(user_data); }

Stream* StreamOf(nghttp2_session* session, int32_t id) {
  return static_cast<Stream*>(nghttp2_session_get_stream_user_data(session, id));
}

std::string_view Text(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

const nghttp2_session_callbacks* Callbacks::Table() {
  static const nghttp2_session_callbacks* table = [] {
    nghttp2_session_callbacks* t;
    nghttp2_session_callbacks_new(&t);
    nghttp2_session_callbacks_set_on_begin_frame_callback(t, &OnBeginFrame);
    nghttp2_session_callbacks_set_on_begin_headers_callback(t, &OnBeginHeaders);
    nghttp2_session_callbacks_set_on_header_callback(t, &OnHeader);
    nghttp2_session_callbacks_set_on_invalid_header_callback(t, &OnInvalidHeader);
    nghttp2_session_callbacks_set_on_frame_recv_callback(t, &OnFrame);
    nghttp2_session_callbacks_set_unpack_extension_callback(t, &OnUnknownFrame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(t, &OnData);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(t, &OnInvalidFrame);
    nghttp2_session_callbacks_set_on_stream_close_callback(t, &OnStreamClose);
    nghttp2_session_callbacks_set_on_frame_send_callback(t, &OnFrameSent);
    nghttp2_session_callbacks_set_data_source_read_length_callback(t, &MaxDataSize);
    nghttp2_session_callbacks_set_send_data_callback(t, &SendData);
    return t;
  }();
  return table;
}

int Callbacks::OnBeginFrame(nghttp2_session* /*nghttp2*/, const nghttp2_frame_hd* header,
                            void* user_data) {
  Session& session = SessionOf(user_data);
  switch (header->type) {
    case NGHTTP2_HEADERS:
      session.head_began_ = session.now();
      return session.CheckOpen(header->stream_id) ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
    case NGHTTP2_DATA:
      // Also an empty one that ends the stream: it can do so once.
      if (header->length > 0 || (header->flags & NGHTTP2_FLAG_END_STREAM) != 0) return 0;
      break;
    default:
      break;
  }
  if (session.free_frames_.Spend(session.now())) return 0;
  session.Violation(kTooManyFree, NGHTTP2_ENHANCE_YOUR_CALM);
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int Callbacks::OnBeginHeaders(nghttp2_session* nghttp2, const nghttp2_frame* frame,
                              void* user_data) {
  Session& session = SessionOf(user_data);
  session.block_stream_ = nullptr;
  if (frame->hd.type != NGHTTP2_HEADERS) return 0;
  const int32_t id = frame->hd.stream_id;
  Stream* stream = StreamOf(nghttp2, id);
  if (stream == nullptr && session.server_ && frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
    session.closed_streams_.OnOpened(id);
    // A peer that opens and resets streams frees its slots, but not the work that it has caused.
    if (session.handles_ >= 2 * size_t{session.limits_.max_concurrent_streams}) {
      nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
      return 0;
    }
    stream = ServerStream::New(&session, id);
    nghttp2_session_set_stream_user_data(nghttp2, id, stream);
  }
  if (stream != nullptr) stream->BeginFields();
  session.block_stream_ = stream;
  return 0;
}

int Callbacks::OnHeader(nghttp2_session* nghttp2, const nghttp2_frame* frame, const uint8_t* name,
                        size_t name_size, const uint8_t* value, size_t value_size,
                        uint8_t /*flags*/, void* user_data) {
  // Asked for once a block, not once a field: nghttp2 would look it up each time.
  Stream* stream = SessionOf(user_data).block_stream_;
  if (stream == nullptr) return 0;
  switch (stream->OnField(Text(name, name_size), Text(value, value_size))) {
    case Verdict::kGood:
      return 0;
    case Verdict::kMalformed:
      nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                NGHTTP2_PROTOCOL_ERROR);
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    case Verdict::kTooLarge:
      return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    case Verdict::kOutrageous:
      break;
  }
  SessionOf(user_data).Violation("the peer sends a head far beyond the limit",
                                 NGHTTP2_ENHANCE_YOUR_CALM);
  return NGHTTP2_ERR_CALLBACK_FAILURE;
}

// nghttp2 would leave the field out; a message without it might mean something else.
int Callbacks::OnInvalidHeader(nghttp2_session* nghttp2, const nghttp2_frame* frame,
                               const uint8_t* /*name*/, size_t /*name_size*/,
                               const uint8_t* /*value*/, size_t /*value_size*/, uint8_t /*flags*/,
                               void* /*user_data*/) {
  Stream* stream = StreamOf(nghttp2, frame->hd.stream_id);
  if (stream != nullptr)
    stream->NoteError("the peer sent a field with characters that none may have");
  nghttp2_submit_rst_stream(nghttp2, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                            NGHTTP2_PROTOCOL_ERROR);
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int Callbacks::OnFrame(nghttp2_session* nghttp2, const nghttp2_frame* frame, void* user_data) {
  Session& session = SessionOf(user_data);
  const bool end_stream = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  switch (frame->hd.type) {
    case NGHTTP2_DATA:
      if (end_stream) {
        if (Stream* stream = StreamOf(nghttp2, frame->hd.stream_id)) stream->OnIncomingEnd();
      }
      break;
    case NGHTTP2_HEADERS:
      session.head_began_ = io::kNever;
      if (Stream* stream = StreamOf(nghttp2, frame->hd.stream_id)) {
        session.OnHead(stream, end_stream);
      }
      break;
    case NGHTTP2_RST_STREAM:
      session.closed_streams_.OnResetByPeer(frame->hd.stream_id);
      break;
    case NGHTTP2_PING:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) != 0)
        session.OnPingAnswered(frame->ping.opaque_data);
      break;
    case NGHTTP2_GOAWAY:
      session.OnGoaway(frame->goaway.error_code,
                       Text(frame->goaway.opaque_data, frame->goaway.opaque_data_len));
      break;
    case NGHTTP2_SETTINGS:
      if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) session.OnPeerSettings();
      break;
    default:
      break;
  }
  return 0;
}

// To be ignored (RFC 9113 section 5.5).
int Callbacks::OnUnknownFrame(nghttp2_session*, void** /*payload*/,
                              const nghttp2_frame_hd* /*header*/, void* /*user_data*/) {
  return NGHTTP2_ERR_CANCEL;
}

int Callbacks::OnData(nghttp2_session* nghttp2, uint8_t /*flags*/, int32_t stream_id,
                      const uint8_t* data, size_t size, void* user_data) {
  Session& session = SessionOf(user_data);
  Stream* stream = StreamOf(nghttp2, stream_id);
  const bool wanted = stream != nullptr && stream->held();
  if (wanted) stream->OnData({data, size});
  session.OnDataArrived(size, wanted);
  return 0;
}

int Callbacks::OnInvalidFrame(nghttp2_session* nghttp2, const nghttp2_frame* frame, int error,
                              void* user_data) {
  Stream* stream = StreamOf(nghttp2, frame->hd.stream_id);
  const std::string why =
      absl::StrCat("the peer sent something invalid: ", nghttp2_strerror(error));
  if (stream != nullptr) stream->NoteError(why);
  SessionOf(user_data).last_invalid_ = why;
  return 0;
}

int Callbacks::OnStreamClose(nghttp2_session* nghttp2, int32_t stream_id, uint32_t error_code,
                             void* user_data) {
  Session& session = SessionOf(user_data);
  Stream* stream = StreamOf(nghttp2, stream_id);
  // One that we broke off ourselves is no fault of the peer.
  const bool by_peer = stream == nullptr || !stream->reset_by_us();
  const bool broken = error_code != NGHTTP2_NO_ERROR && by_peer;
  if (stream != nullptr) {
    if (session.block_stream_ == stream) session.block_stream_ = nullptr;
    if (session.server_ && !static_cast<ServerStream*>(stream)->handed_over()) session.OnRefused();
    stream->OnClosed(error_code);
    stream->DiscardIfDone();
  }
  if (!session.server_) {
    session.OnChange();
    return 0;
  }
  if (!broken) {
    session.broken_streams_.Earn(1);
  } else if (!session.broken_streams_.Spend(session.now())) {
    session.Violation(kTooManyBroken, NGHTTP2_ENHANCE_YOUR_CALM);
    return NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  return 0;
}

int Callbacks::OnFrameSent(nghttp2_session* nghttp2, const nghttp2_frame* frame, void* user_data) {
  Session& session = SessionOf(user_data);
  switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
      // What honest peers answer frames with: window updates.
      session.free_frames_.Earn(4);
      if (Stream* stream = StreamOf(nghttp2, frame->hd.stream_id)) {
        stream->OnFrameSent((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0);
      }
      break;
    case NGHTTP2_RST_STREAM:
      session.closed_streams_.OnResetByUs(frame->hd.stream_id);
      break;
    case NGHTTP2_GOAWAY:
      session.OnGoawaySent(frame->goaway.error_code);
      break;
    default:
      break;
  }
  return 0;
}

ssize_t Callbacks::MaxDataSize(nghttp2_session*, uint8_t /*frame_type*/, int32_t /*stream_id*/,
                               int32_t /*session_window*/, int32_t /*stream_window*/,
                               uint32_t max_frame, void* user_data) {
  const size_t room = std::max(SessionOf(user_data).RecordRoom(), kSmallestUsefulData);
  return static_cast<ssize_t>(std::min<size_t>(room, max_frame));
}

ssize_t Callbacks::ReadData(nghttp2_session* nghttp2, int32_t stream_id, uint8_t* /*into*/,
                            size_t size, uint32_t* flags, nghttp2_data_source* /*source*/,
                            void* /*user_data*/) {
  Stream* stream = StreamOf(nghttp2, stream_id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  return stream->NextData(size, flags);
}

int Callbacks::SendData(nghttp2_session* nghttp2, nghttp2_frame* frame, const uint8_t* frame_header,
                        size_t size, nghttp2_data_source* /*source*/, void* user_data) {
  Stream* stream = StreamOf(nghttp2, frame->hd.stream_id);
  if (stream == nullptr) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (!SessionOf(user_data).AppendFrame({frame_header, FrameHeaders::kBytes},
                                        stream->outgoing().first(size))) {
    return NGHTTP2_ERR_WOULDBLOCK;
  }
  stream->TakeData(size);
  return 0;
}

}  // namespace weft::http::h2
