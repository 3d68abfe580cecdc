// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Processes that mpirun has started together, and texts between them. ranks.cpp alone knows MPI.

#ifndef VAULTRAIN_SRC_CLI_RANKS_H_
#define VAULTRAIN_SRC_CLI_RANKS_H_

#include <string>

namespace vaultrain::cli {

// Without mpirun there is one rank, 0, and MPI is never begun. One object a process.
class Ranks {
 public:
  Ranks();
  // Waits for all ranks.
  ~Ranks();
  Ranks(const Ranks&) = delete;
  Ranks& operator=(const Ranks&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  void Send(int to, const std::string& text);

  struct Message {
    int from = 0;
    std::string text;
  };
  // Waits, asleep, for a text from any rank.
  Message Receive();

 private:
  int rank_ = 0;
  int size_ = 1;
};

}  // namespace vaultrain::cli

#endif  // VAULTRAIN_SRC_CLI_RANKS_H_
