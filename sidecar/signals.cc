#include "sidecar/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>

namespace weft {

Signals::Signals() {
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  pthread_sigmask(SIG_BLOCK, &mask, nullptr);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  fd_ = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
  io::Reactor::Current()->Add(fd_, this);
}

Signals::~Signals() { close(fd_); }

bool Signals::Take() {
  signalfd_siginfo info;
  return read(fd_, &info, sizeof info) == sizeof info;
}

}  // namespace weft
