// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// What an interruption has to tidy: processes that run and paths that are half-written.

#ifndef VAULTRAIN_SRC_HOUSE_INTERRUPT_H_
#define VAULTRAIN_SRC_HOUSE_INTERRUPT_H_

#include <sys/types.h>

#include <filesystem>
#include <mutex>

namespace vaultrain {

// Held while a file is written or renamed; the watcher of signals takes it and never gives it back.
std::mutex& InterruptMutex();

// The caller holds InterruptMutex.
void AddHalfWritten(const std::filesystem::path& path);
void RemoveHalfWritten(const std::filesystem::path& path);
void AddProcessGroup(pid_t group);
void RemoveProcessGroup(pid_t group);

}  // namespace vaultrain

#endif  // VAULTRAIN_SRC_HOUSE_INTERRUPT_H_
