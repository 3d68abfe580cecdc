// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// The options of the commands that compile, run and check networks: what the command line gives,
// before anything is read. Files and names in them are unchecked; numbers and choices are in range.

#ifndef VAULTRAIN_SRC_CLI_OPTIONS_H_
#define VAULTRAIN_SRC_CLI_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "vaultrain/mapper.h"

namespace vaultrain::cli {

enum class Engine { kRtl, kGolden };

// Schedules that are weighed if --search does not say how many.
inline constexpr int kDefaultSearch = 600;

// compile VARIANT NETWORK --out P.vtp
struct CompileOptions {
  JsonOptions json;
  VariantOptions variant;
  std::string network;       // shipped name or ONNX file
  std::optional<int> batch;  // absent: the recipe's
  std::string out;
  MapOptions mapping;
};
void AddOptions(CLI::App& app, CompileOptions& options);

// explain VARIANT NETWORK
struct ExplainOptions {
  JsonOptions json;
  VariantOptions variant;
  std::string network;       // shipped name or ONNX file
  std::optional<int> batch;  // absent: the recipe's
  MapOptions mapping;
};
void AddOptions(CLI::App& app, ExplainOptions& options);

// run VARIANT P.vtp
struct RunOptions {
  JsonOptions json;
  VariantOptions variant;
  std::string program;
  Engine engine = Engine::kRtl;
};
void AddOptions(CLI::App& app, RunOptions& options);

// train VARIANT NETWORK
struct TrainOptions {
  JsonOptions json;
  VariantOptions variant;
  std::string network;
  std::string data;  // empty: the recipe's, or the set that the program makes itself
  Engine engine = Engine::kRtl;
  std::optional<long> steps;  // at most one of the two; neither: the recipe's
  std::optional<long> epochs;
  std::optional<int> batch;
  uint64_t seed = 1;
  std::string trace;       // FST file; empty: none
  std::string timeline;    // JSON file; empty: none
  std::string checkpoint;  // file to write; empty: none
  int64_t every = 100;     // steps from one writing of it to the next
  std::string resume;      // checkpoint to go on from; empty: none
  std::string out;         // ONNX file for the trained network; empty: none
  MapOptions mapping;
};
void AddOptions(CLI::App& app, TrainOptions& options);

// verify VARIANT
struct VerifyOptions {
  JsonOptions json;
  VariantOptions variant;
  bool full = false;   // --level full
  std::string filter;  // only cases whose name contains it
  uint64_t seed = 1;
  std::string junit;  // empty: none
};
void AddOptions(CLI::App& app, VerifyOptions& options);

// synth VARIANT
struct SynthOptions {
  JsonOptions json;
  VariantOptions variant;
  std::vector<std::string> liberty;  // empty: the library of the Debian package
  std::string network;               // its step gives the activity; empty: none is measured
  std::optional<int> batch;          // absent: the recipe's
  MapOptions mapping;
  std::optional<double> clock_ns;    // absent: the technology's
  std::optional<bool> clock_gating;  // absent: the technology's default
  std::string out;                   // empty: reports are not kept
};
void AddOptions(CLI::App& app, SynthOptions& options);

}  // namespace vaultrain::cli

#endif  // VAULTRAIN_SRC_CLI_OPTIONS_H_
