#include "sidecar/discovery/ads_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace weft::discovery {

AdsStream::AdsStream(std::unique_ptr<Tunnel> tunnel, ControlPlane* control_plane,
                     std::string node_id, Subscriptions* subscriptions, AdsListener* listener)
    : tunnel_(std::move(tunnel)),
      control_plane_(control_plane),
      listener_(listener),
      session_(std::make_unique<DeltaSession>(std::move(node_id), subscriptions,
                                              [this] { work_.Notify(); })),
      stub_(Service::NewStub(tunnel_->channel())) {}

void AdsStream::Start() { io::Spawn(Run(shared_from_this())); }

void AdsStream::Close() {
  if (asked_to_close_) return;
  asked_to_close_ = true;
  closing_ = true;
  work_.Notify();
  call_.TryCancel();
}

io::Task<void> AdsStream::Run(std::shared_ptr<AdsStream> self) {
  self->stream_ = self->stub_->PrepareAsyncDeltaAggregatedResources(
      &self->call_, self->control_plane_->completions());
  self->stream_->StartCall(self->writing_.tag());
  if (co_await self->writing_.Done()) {
    self->sending_ = true;
    io::Spawn(Send(self));
    co_await self->Receive();
  }
  self->closing_ = true;
  self->work_.Notify();
  // A write in progress ends as soon as the call does.
  self->call_.TryCancel();
  while (self->sending_) co_await io::Wait(self->sender_);
  grpc::Status outcome;
  self->stream_->Finish(&outcome, self->reading_.tag());
  co_await self->reading_.Done();
  self->session_.reset();
  self->closed_ = true;
  self->listener_->OnClosed(self.get(), self->asked_to_close_ ? ""
                                        : outcome.ok()
                                            ? "the control plane ended the stream"
                                            : absl::StrCat("stream: ", outcome.error_message()));
}

io::Task<void> AdsStream::Receive() {
  DeltaSession::Response response;
  for (;;) {
    stream_->Read(&response, reading_.tag());
    if (!co_await reading_.Done() || asked_to_close_) co_return;
    listener_->OnHandled(session_->Handle(response));
    // A large response must not hold its memory until the next one.
    DeltaSession::Response().Swap(&response);
  }
}

io::Task<void> AdsStream::Send(std::shared_ptr<AdsStream> self) {
  DeltaSession::Request request;
  while (!self->closing_) {
    if (!self->session_->NextRequest(request)) {
      co_await io::Wait(self->work_);
      continue;
    }
    self->stream_->Write(request, self->writing_.tag());
    if (!co_await self->writing_.Done()) break;
  }
  self->sending_ = false;
  self->sender_.Notify();
}

}  // namespace weft::discovery
