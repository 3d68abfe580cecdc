// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Options of the command line whose absence means something.

#include "cli/options.h"

#include <gtest/gtest.h>

namespace vaultrain::cli {
namespace {

std::optional<bool> ClockGating(std::vector<std::string> arguments) {
  CLI::App app;
  SynthOptions options;
  AddOptions(app, options);
  arguments.emplace_back("nano");
  app.parse(std::move(arguments));
  return options.clock_gating;
}

TEST(CliOptions, ClockGatingIsTheTechnologysUnlessAsked) {
  EXPECT_EQ(ClockGating({}), std::nullopt);
  EXPECT_EQ(ClockGating({"--clock-gating"}), true);
  EXPECT_EQ(ClockGating({"--no-clock-gating"}), false);
}

}  // namespace
}  // namespace vaultrain::cli
