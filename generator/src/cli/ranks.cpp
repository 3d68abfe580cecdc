// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "cli/ranks.h"

#define OMPI_SKIP_MPICXX 1  // the C++ bindings that MPI has given up
#include <mpi.h>

#include <chrono>
#include <cstdlib>
#include <thread>

namespace vaultrain::cli {
namespace {

// Open MPI's receive spins; a rank that waits minutes for work leaves the core to those that work.
constexpr std::chrono::milliseconds kNap(10);

// What mpirun, or a batch system's launcher with PMIx, tells the processes it starts.
bool StartedTogether() {
  return std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr || std::getenv("PMIX_RANK") != nullptr;
}

}  // namespace

Ranks::Ranks() {
  if (!StartedTogether()) return;
  int provided = 0;
  MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
  MPI_Comm_size(MPI_COMM_WORLD, &size_);
}

Ranks::~Ranks() {
  if (StartedTogether()) MPI_Finalize();
}

void Ranks::Send(int to, const std::string& text) {
  MPI_Send(text.data(), static_cast<int>(text.size()), MPI_CHAR, to, 0, MPI_COMM_WORLD);
}

Ranks::Message Ranks::Receive() {
  MPI_Status status{};
  for (int ready = 0; ready == 0;) {
    MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &ready, &status);
    if (ready == 0) std::this_thread::sleep_for(kNap);
  }
  int size = 0;
  MPI_Get_count(&status, MPI_CHAR, &size);
  Message message{status.MPI_SOURCE, std::string(static_cast<size_t>(size), '\0')};
  MPI_Recv(message.text.data(), size, MPI_CHAR, message.from, 0, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
  return message;
}

}  // namespace vaultrain::cli
