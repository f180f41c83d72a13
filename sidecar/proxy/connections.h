// The connections that a worker serves at this moment.
#ifndef WEFT_SIDECAR_PROXY_CONNECTIONS_H_
#define WEFT_SIDECAR_PROXY_CONNECTIONS_H_

#include <cstddef>
#include <functional>
#include <utility>

#include "sidecar/io/stream.h"

namespace weft::proxy {

class Connections;

// Membership, for as long as the connection is served. One thread.
class ServedConnection {
 public:
  explicit ServedConnection(Connections* connections);
  ServedConnection(const ServedConnection&) = delete;
  ServedConnection& operator=(const ServedConnection&) = delete;
  virtual ~ServedConnection();

  // Finish what is under way and begin nothing new.
  virtual void Drain() {}
  // The same for a successor's sake: if nothing is under way, the connection itself can move.
  virtual void Move() { Drain(); }

 private:
  friend class Connections;
  Connections* const connections_;
  ServedConnection* next_;
  ServedConnection* previous_ = nullptr;
};

class Connections {
 public:
  // Tells every connection; those that come later are told when they join.
  void Drain() {
    draining_ = true;
    for (ServedConnection* c = first_; c != nullptr;) {
      ServedConnection* next = c->next_;
      c->Drain();
      c = next;
    }
  }
  bool draining() const { return draining_; }
  size_t size() const { return size_; }

  // Tells every connection to finish what is under way; `take` gets the descriptors of those with
  // which the successor can go on.
  void Move(std::function<void(int fd)> take) {
    take_ = std::move(take);
    for (ServedConnection* c = first_; c != nullptr;) {
      ServedConnection* next = c->next_;
      c->Move();
      c = next;
    }
  }
  bool moving() const { return take_ != nullptr; }
  // An idle connection, of which nothing that was read is kept here.
  void GiveAway(io::Stream& stream) {
    if (stream.peer_closed()) return;
    if (const int fd = stream.Release(); fd >= 0) take_(fd);
  }

 private:
  friend class ServedConnection;
  ServedConnection* first_ = nullptr;
  size_t size_ = 0;
  bool draining_ = false;
  std::function<void(int fd)> take_;
};

inline ServedConnection::ServedConnection(Connections* connections)
    : connections_(connections), next_(connections->first_) {
  if (next_ != nullptr) next_->previous_ = this;
  connections_->first_ = this;
  ++connections_->size_;
}

inline ServedConnection::~ServedConnection() {
  (previous_ == nullptr ? connections_->first_ : previous_->next_) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
  --connections_->size_;
}

}  // namespace weft::proxy

#endif  // WEFT_SIDECAR_PROXY_CONNECTIONS_H_
