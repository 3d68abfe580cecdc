// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "house/interrupt.h"

#include <signal.h>
#include <unistd.h>

#include <set>
#include <thread>
#include <utility>

#include "vaultrain/output.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

struct PendingWork {
  std::mutex mutex;
  std::set<fs::path> half_written;
  std::set<pid_t> groups;
  bool deferred = false;  // an InterruptRequest lives
  int requested = 0;      // signal that it has not answered
};

// Never destroyed: the watcher outlives main.
PendingWork& GetPending() {
  static PendingWork* pending = new PendingWork;
  return *pending;
}

int signal_pipe[2] = {-1, -1};

void OnSignal(int signal) {
  unsigned char byte = static_cast<unsigned char>(signal);
  [[maybe_unused]] ssize_t written = write(signal_pipe[1], &byte, 1);
}

// The caller holds the mutex and never gives it back.
[[noreturn]] void End(int signal) {
  PendingWork& pending = GetPending();
  for (pid_t group : pending.groups) kill(-group, SIGKILL);
  for (const fs::path& path : pending.half_written) {
    // A process that has just been ended may have put one more file down.
    std::error_code fault;
    for (int attempt = 0; attempt < 20 && fs::exists(path, fault); ++attempt) {
      if (attempt > 0) std::this_thread::sleep_for(std::chrono::milliseconds(50));
      fs::remove_all(path, fault);
    }
  }
  constexpr std::string_view kMessage = "\nvaultrain: interrupted\n";
  [[maybe_unused]] ssize_t written = write(STDERR_FILENO, kMessage.data(), kMessage.size());
  _exit(128 + signal);
}

void Watch() {
  PendingWork& pending = GetPending();
  for (;;) {
    unsigned char signal = 0;
    while (read(signal_pipe[0], &signal, 1) != 1) {
    }
    pending.mutex.lock();
    if (!pending.deferred || pending.requested != 0) End(signal);
    pending.requested = signal;
    pending.mutex.unlock();
    if (isatty(STDERR_FILENO) == 0) continue;
    constexpr std::string_view kMessage = "\nstops after this step; once more: at once\n";
    [[maybe_unused]] ssize_t written = write(STDERR_FILENO, kMessage.data(), kMessage.size());
  }
}

}  // namespace

std::mutex& InterruptMutex() { return GetPending().mutex; }
void AddHalfWritten(const fs::path& path) { GetPending().half_written.insert(path); }
void RemoveHalfWritten(const fs::path& path) { GetPending().half_written.erase(path); }
void AddProcessGroup(pid_t group) { GetPending().groups.insert(group); }
void RemoveProcessGroup(pid_t group) { GetPending().groups.erase(group); }

InterruptRequest::InterruptRequest() {
  std::lock_guard lock(InterruptMutex());
  GetPending().deferred = true;
}

InterruptRequest::~InterruptRequest() {
  InterruptMutex().lock();
  if (GetPending().requested != 0) End(GetPending().requested);
  GetPending().deferred = false;
  InterruptMutex().unlock();
}

bool InterruptRequest::Pending() const {
  std::lock_guard lock(InterruptMutex());
  return GetPending().requested != 0;
}

int InterruptRequest::Answer() {
  std::lock_guard lock(InterruptMutex());
  const int signal = std::exchange(GetPending().requested, 0);
  return signal == 0 ? 0 : 128 + signal;
}

void InstallInterruptHandler() {
  GetPending();
  if (pipe(signal_pipe) != 0) return;
  std::thread(Watch).detach();
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace vaultrain
