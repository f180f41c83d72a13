#include "sidecar/http/h2/session.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "nghttp2/nghttp2.h"
#include "sidecar/http/h2/callbacks.h"
#include "sidecar/http/h2/client_stream.h"
#include "sidecar/http/h2/held_bytes.h"
#include "sidecar/http/h2/memory.h"
#include "sidecar/http/h2/server_stream.h"
#include "sidecar/http/h2/stream.h"

namespace weft::http::h2 {
namespace {

using io::IoResult;

// What one TLS record can carry.
constexpr size_t kRecordBytes = 16 * 1024;
// A record with less room than this is full enough.
constexpr size_t kFullEnough = 512;

// Shared by all sessions.
const nghttp2_option* Options() {
  static const nghttp2_option* options = [] {
    nghttp2_option* o = nullptr;
    nghttp2_option_new(&o);
    nghttp2_option_set_no_auto_window_update(o, 1);
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_max_reserved_remote_streams(o, 0);
    // Until its SETTINGS come, a peer is taken to allow this many.
    nghttp2_option_set_peer_max_concurrent_streams(o, 100);
    // What is larger than the peer takes is held back before.
    nghttp2_option_set_max_send_header_block_length(o, 1024 * 1024);
    // Resets are counted here, where work that was done counts too.
    nghttp2_option_set_stream_reset_rate_limit(o, UINT32_MAX, UINT32_MAX);
    // Frames of unknown types mean nothing, but they are to be seen and counted.
    constexpr int kFirstUnknownType = 0x0a;
    for (int type = kFirstUnknownType; type <= UINT8_MAX; ++type) {
      nghttp2_option_set_user_recv_extension_type(o, static_cast<uint8_t>(type));
    }
    return o;
  }();
  return options;
}

}  // namespace

Session::Session(std::unique_ptr<io::Stream> transport, const Limits& limits, bool server)
    : limits_(limits),
      server_(server),
      reactor_(io::Reactor::Current()),
      transport_(std::move(transport)),
      watch_(this),
      free_frames_(limits.free_frames, reactor_->now()),
      broken_streams_(limits.broken_streams, reactor_->now()),
      frames_(server ? NGHTTP2_CLIENT_MAGIC_LEN : 0),
      last_read_(reactor_->now()),
      last_write_(last_read_),
      last_active_(last_read_) {
  const auto create = server ? &nghttp2_session_server_new3 : &nghttp2_session_client_new3;
  create(&nghttp2_, Callbacks::Table(), this, Options(), PoolMemory());

  std::array<nghttp2_settings_entry, 5> settings = {{
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, first_window_bytes()},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits_.max_header_bytes},
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits_.max_concurrent_streams},
      {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
  }};
  if (server_) {
    nghttp2_submit_settings(nghttp2_, NGHTTP2_FLAG_NONE, settings.data(), 4);
  } else {
    settings[2] = settings[4];
    nghttp2_submit_settings(nghttp2_, NGHTTP2_FLAG_NONE, settings.data(), 3);
  }
  nghttp2_session_set_local_window_size(nghttp2_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(limits_.connection_window_bytes));
  // Before anything else is said, a GOAWAY not excepted.
  FillRecord();
  ScheduleWrite();
}

Session::~Session() {
  Fail("the session is gone");
  RemoveHeldBytes(unconsumed_bytes_);
  nghttp2_session_del(nghttp2_);
}

void Session::Link(Stream* stream) {
  stream->next_ = streams_;
  stream->previous_ = nullptr;
  if (streams_ != nullptr) streams_->previous_ = stream;
  streams_ = stream;
  ++active_;
}

void Session::Unlink(Stream* stream) {
  (stream->previous_ == nullptr ? streams_ : stream->previous_->next_) = stream->next_;
  if (stream->next_ != nullptr) stream->next_->previous_ = stream->previous_;
}

void Session::OnStreamClosed(const Stream& stream) {
  widened_bytes_ -= stream.window_bytes() - first_window_bytes();
  --active_;
  if (active_ > 0 || closed_) return;
  last_active_ = now();
  // The last one of a connection that is to end.
  ScheduleWrite();
}

bool Session::PeerTakesUpgrades() const {
  return !settings_seen_ || nghttp2_session_get_remote_settings(
                                nghttp2_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

size_t Session::MaxHeadBytes() const {
  return nghttp2_session_get_remote_settings(nghttp2_, NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE);
}

// ---- What goes out.

size_t Session::RecordRoom() const {
  const size_t used = out_.size() + FrameHeaders::kBytes;
  return used < kRecordBytes ? kRecordBytes - used : 0;
}

bool Session::AppendFrame(std::span<const uint8_t> header, std::span<const uint8_t> payload) {
  if (!out_.empty() && payload.size() > RecordRoom()) return false;
  out_.Append(header);
  out_.Append(payload);
  return true;
}

// Puts frames together until there is a record's worth of them or no more. False if there is
// nothing.
bool Session::FillRecord() {
  busy_ = true;
  while (out_.size() < kRecordBytes - kFullEnough && !failing_) {
    const uint8_t* frame = nullptr;
    const ssize_t bytes = nghttp2_session_mem_send(nghttp2_, &frame);
    if (bytes < 0 && !failing_) {
      Violation(nghttp2_strerror(static_cast<int>(bytes)), NGHTTP2_INTERNAL_ERROR);
    }
    if (bytes <= 0) break;
    out_.Append({frame, static_cast<size_t>(bytes)});
  }
  busy_ = false;
  if (failing_) Fail(error_);
  return !out_.empty();
}

void Session::OnEndOfTurn() {
  if (transport_ == nullptr) return;
  if (!write_blocked_) WritePending();
  if (read_paused_ || Finished()) wake_.Notify();
}

void Session::WritePending() {
  // A client that lost its peer keeps its requests to itself: those unsent may be sent elsewhere.
  const auto may_fill = [this] { return !closed_ && (server_ || !transport_->peer_closed()); };
  if (!server_ && draining_ && active_ == 0 && !closed_ && !final_goaway_sent_) SendFinalGoaway();
  while (!write_failed_ && !write_blocked_) {
    if (out_.empty() && (!may_fill() || !FillRecord())) break;
    const IoResult result = transport_->Write(out_.bytes());
    if (result.ok()) {
      out_.Consume(result.bytes);
      last_write_ = now();
    } else if (result.would_block()) {
      OnBlocked();
    } else {
      write_failed_ = true;
    }
  }
  out_.Release();
  if (!write_failed_ && !write_blocked_) {
    const IoResult result = transport_->Flush();
    if (result.would_block()) OnBlocked();
    if (result.failed()) write_failed_ = true;
  }
  // What the peer had to say before it went may still wait to be read.
  if (write_failed_) wake_.Notify();
}

void Session::OnBlocked() {
  write_blocked_ = true;
  last_write_ = now();
  wake_.Notify();
}

std::string_view Session::violation() const {
  return violation_code_ == 0 ? std::string_view() : nghttp2_http2_strerror(violation_code_);
}

void Session::OnGoawaySent(uint32_t error_code) {
  if (error_code == NGHTTP2_NO_ERROR || !error_.empty()) return;
  violation_code_ = error_code;
  error_ = last_invalid_.empty()
               ? absl::StrCat("the peer was told: ", nghttp2_http2_strerror(error_code))
               : last_invalid_;
}

// ---- The two sides.

std::unique_ptr<ClientSession> ClientSession::Create(std::unique_ptr<io::Stream> transport,
                                                     const Limits& limits) {
  return std::unique_ptr<ClientSession>(
      new ClientSession(std::move(transport), limits, /*server=*/false));
}

bool ClientSession::CanOpen() const {
  if (closed() || draining() || peer_closed()) return false;
  const uint32_t peer_limit =
      nghttp2_session_get_remote_settings(nghttp2(), NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
  return active() < std::min(peer_limit, limits_.max_concurrent_streams) &&
         nghttp2_session_check_request_allowed(nghttp2()) != 0;
}

std::unique_ptr<ClientExchange> ClientSession::Open() {
  if (!CanOpen()) return nullptr;
  std::unique_ptr<ClientExchange> exchange = ClientStream::New(this);
  could_open_ = CanOpen();
  if (++opened_ >= limits_.max_streams) Drain();
  return exchange;
}

void ClientSession::OnChange() {
  const bool can_open = CanOpen();
  if (can_open == could_open_ && !closed()) return;
  could_open_ = can_open;
  if (on_change_) on_change_();
}

std::unique_ptr<ServerSession> ServerSession::Create(std::unique_ptr<io::Stream> transport,
                                                     const Limits& limits,
                                                     OnRequestFunction on_request) {
  std::unique_ptr<ServerSession> session(
      new ServerSession(std::move(transport), limits, /*server=*/true));
  session->on_request_ = std::move(on_request);
  return session;
}

bool ServerSession::TakeUpgrade(const RequestHead& request, std::span<const uint8_t> settings,
                                std::span<const uint8_t> unread) {
  constexpr int32_t kUpgraded = 1;
  if (nghttp2_session_upgrade2(nghttp2(), settings.data(), settings.size(),
                               request.method == "HEAD" ? 1 : 0, nullptr) != 0) {
    return false;
  }
  ServerStream* stream = ServerStream::New(this, kUpgraded);
  nghttp2_session_set_stream_user_data(nghttp2(), kUpgraded, stream);
  stream->TakeUpgraded(request);
  OnRequest(stream);
  if (!unread.empty()) Receive(unread);
  return true;
}

void ServerSession::OnRequest(Stream* stream) {
  on_request_(static_cast<ServerStream*>(stream)->Hold());
}

void ServerSession::OnRefused() {
  if (on_refused_) on_refused_();
}

}  // namespace weft::http::h2
