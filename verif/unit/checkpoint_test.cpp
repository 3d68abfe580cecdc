// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// A training that is stopped and goes on ends with the same bits as one that was not: in the
// library on both engines, and through the program, which is killed and interrupted.

#include "vaultrain/checkpoint.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <limits>
#include <memory>
#include <thread>

#include "vaultrain/error.h"
#include "vaultrain/mapper.h"
#include "vaultrain/networks.h"
#include "vaultrain/output.h"
#include "vaultrain/process.h"
#include "vaultrain/trainer.h"

extern char** environ;

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

// ---- the file

TrainingIdentity ExampleIdentity() {
  TrainingIdentity identity;
  identity.variant = Sha256("nano");
  identity.network = Sha256("mlp.onnx");
  identity.data = Sha256("digits");
  identity.program = Sha256("program");
  identity.variant_name = "nano";
  identity.network_name = "mlp";
  identity.data_name = "drawn digits";
  identity.partition = "one node";
  identity.steps = 20;
  identity.recipe = {{"batch", 32}, {"learning_rate", 0.1}, {"schedule", "linear"},
                     {"seed", 1},   {"steps", 20},          {"epochs", 0}};
  return identity;
}

Checkpoint Example() {
  Checkpoint checkpoint;
  checkpoint.identity = ExampleIdentity();
  checkpoint.step = 3;
  checkpoint.place = 96;
  checkpoint.loss = {2.5, std::numeric_limits<double>::infinity(), 0.1};
  checkpoint.cycles = uint64_t{1} << 40;
  checkpoint.steps_compared = 2;
  checkpoint.tensors_compared = 24;
  checkpoint.tensors = {{"fc1.W", {1, 2, 3, 4}}, {"fc1.mW", {0, 0, 0x80, 0x7F}}};
  return checkpoint;
}

class CheckpointFile : public testing::Test {
 protected:
  // The refusal's message, one line that names the file; empty if the file is read.
  std::string Refusal(const TrainingIdentity& run = ExampleIdentity()) const {
    try {
      ReadCheckpoint(path_, run);
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
      EXPECT_THAT(error.what(), HasSubstr(path_));
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
      return error.what();
    }
    return "";
  }

  ScratchFolder folder_;
  std::string path_ = (folder_.path() / "c.ckpt").string();
};

TEST_F(CheckpointFile, ComesBackAsItWasWritten) {
  const Checkpoint written = Example();
  WriteCheckpoint(path_, written);
  const std::string bytes = ReadFile(path_);
  const Checkpoint read = ReadCheckpoint(path_, ExampleIdentity());
  EXPECT_EQ(read.step, written.step);
  EXPECT_EQ(read.place, written.place);
  EXPECT_EQ(read.loss, written.loss);
  EXPECT_EQ(read.cycles, written.cycles);
  EXPECT_EQ(read.steps_compared, written.steps_compared);
  EXPECT_EQ(read.tensors_compared, written.tensors_compared);
  ASSERT_EQ(read.tensors.size(), written.tensors.size());
  for (size_t i = 0; i < read.tensors.size(); ++i) {
    EXPECT_EQ(read.tensors[i].name, written.tensors[i].name);
    EXPECT_EQ(read.tensors[i].values, written.tensors[i].values);
  }
  // What was read writes the same file, and nothing else lies beside it.
  WriteCheckpoint(path_, read);
  EXPECT_EQ(ReadFile(path_), bytes);
  EXPECT_EQ(bytes.substr(0, 8), "VTCKPT\r\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 1);
}

TEST_F(CheckpointFile, DamageAnywhereIsRefused) {
  WriteCheckpoint(path_, Example());
  const std::string bytes = ReadFile(path_);
  for (size_t size = 0; size < bytes.size(); ++size) {
    WriteFile(path_, bytes.substr(0, size));
    ASSERT_NE(Refusal(), "") << size << " bytes";
  }
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 1 << (i % 8));
    WriteFile(path_, flipped);
    ASSERT_NE(Refusal(), "") << "byte " << i;
  }
}

TEST_F(CheckpointFile, AnotherTrainingIsRefusedByWhatDiffers) {
  WriteCheckpoint(path_, Example());
  EXPECT_EQ(Refusal(), "");
  auto expect = [&](const std::string& words,
                    const std::function<void(TrainingIdentity&)>& change) {
    TrainingIdentity run = ExampleIdentity();
    change(run);
    EXPECT_THAT(Refusal(run), HasSubstr(words));
  };
  expect("variant 'nano'", [](TrainingIdentity& i) { i.variant = Sha256("quad"); });
  expect("network 'mlp'", [](TrainingIdentity& i) { i.network = Sha256("tiny.onnx"); });
  expect("batch = 32; this one has 16", [](TrainingIdentity& i) { i.recipe["batch"] = 16; });
  expect("learning_rate = 0.1; this one has 0.2",
         [](TrainingIdentity& i) { i.recipe["learning_rate"] = 0.2; });
  expect("lacks 'beta1'", [](TrainingIdentity& i) { i.recipe["beta1"] = 0.9; });
  expect("20 steps, of which 3 are done; this one has 30",
         [](TrainingIdentity& i) { i.steps = 30; });
  expect("images or labels", [](TrainingIdentity& i) { i.data = Sha256("mnist"); });
  expect("partition", [](TrainingIdentity& i) { i.partition = "outputs"; });
  expect("--keep-gradients", [](TrainingIdentity& i) { i.keep_gradients = true; });
  expect("another program", [](TrainingIdentity& i) { i.program = Sha256("other"); });
}

TEST_F(CheckpointFile, AConstantRateGoesOnForMoreSteps) {
  Checkpoint checkpoint = Example();
  checkpoint.identity.recipe["schedule"] = "constant";
  WriteCheckpoint(path_, checkpoint);
  TrainingIdentity run = checkpoint.identity;
  run.steps = 30;
  run.recipe["steps"] = 30;
  EXPECT_EQ(Refusal(run), "");
  run.steps = 2;
  EXPECT_THAT(Refusal(run), HasSubstr("this one has 2"));
}

TEST_F(CheckpointFile, CountsThatDoNotAgreeAreRefused) {
  Checkpoint checkpoint = Example();
  checkpoint.place = 97;
  WriteCheckpoint(path_, checkpoint);
  EXPECT_THAT(Refusal(), HasSubstr("place 97"));
  checkpoint = Example();
  checkpoint.loss.pop_back();
  WriteCheckpoint(path_, checkpoint);
  EXPECT_THAT(Refusal(), HasSubstr("2 losses"));
}

// ---- trainings in the library

struct Case {
  std::string name;
  std::string variant;
  std::vector<std::string> overrides;
  std::string network;
  std::string optimiser;
  int64_t batch;
  bool rtl;
};

class Resume : public testing::TestWithParam<Case> {
 protected:
  Resume() { setenv("XDG_CACHE_HOME", VT_CACHE, 1); }
};

TEST_P(Resume, LeavesTheBitsOfAnUndisturbedRun) {
  const Case& c = GetParam();
  const Variant variant = LoadVariant(c.variant, c.overrides, {Resources().variants});
  const VaultDram dram = LoadVaultDram(variant, Resources());
  const fs::path file = FindNetwork(c.network, {Resources().networks});
  Recipe recipe = RecipeOf(file);
  recipe.optimiser = c.optimiser;
  if (c.optimiser != "sgd") recipe.learning_rate = 0.01;
  recipe.batch = c.batch;
  const TrainingGraph graph = Differentiate(ReadOnnx(file), recipe.batch);
  TrainTest data = LoadData(std::nullopt, recipe.data_set, graph.features, graph.classes);
  data.test = {};
  const Program program = MapNetwork(variant, dram, graph, recipe, c.network);
  // Steps stop in the middle of an epoch and run into the next one.
  const auto keep = static_cast<size_t>(5 * c.batch / 2);
  data.train.labels.resize(keep);
  data.train.pixels.resize(keep * static_cast<size_t>(data.train.features()));
  constexpr int64_t kSteps = 5;

  auto device = [&]() -> std::unique_ptr<Device> {
    return c.rtl ? MakeRtlDevice(variant, dram, Resources(), {}) : MakeGoldenDevice(variant, dram);
  };
  auto evaluator = MakeGoldenDevice(variant, dram);
  std::vector<Checkpoint> saved;
  TrainHooks hooks;
  hooks.save_every = 1;
  hooks.save = [&](Checkpoint checkpoint) { saved.push_back(std::move(checkpoint)); };
  auto golden = c.rtl ? MakeGoldenDevice(variant, dram) : nullptr;
  auto engine = device();
  const TrainReport whole =
      Train(program, recipe, data, kSteps, *engine, golden.get(), *evaluator, hooks);
  ASSERT_FALSE(whole.mismatch);
  ASSERT_EQ(saved.size(), 5u);
  const Checkpoint end = saved.back();
  const Checkpoint middle = saved[1];
  EXPECT_EQ(middle.step, 2);
  EXPECT_EQ(middle.place, static_cast<uint64_t>(2 * c.batch));
  EXPECT_NE(middle.tensors[0].values, end.tensors[0].values) << "nothing was trained";
  saved.clear();

  // Verilator takes the context of the model that ran last for that of the one that ends.
  engine.reset();

  // Other devices, whose memory has never seen the first steps.
  auto other = device();
  auto other_golden = c.rtl ? MakeGoldenDevice(variant, dram) : nullptr;
  const TrainReport rest =
      Train(program, recipe, data, kSteps, *other, other_golden.get(), *evaluator, hooks, &middle);
  ASSERT_FALSE(rest.mismatch) << rest.mismatch->tensor;
  EXPECT_EQ(rest.first_step, 2);
  EXPECT_EQ(rest.loss, whole.loss);
  EXPECT_EQ(rest.tensors_compared, whole.tensors_compared);
  ASSERT_EQ(saved.size(), 3u);
  for (size_t t = 0; t < end.tensors.size(); ++t) {
    EXPECT_EQ(saved.back().tensors[t].name, end.tensors[t].name);
    EXPECT_EQ(saved.back().tensors[t].values, end.tensors[t].values) << end.tensors[t].name;
  }
  // The test would see a state that was forgotten.
  if (c.optimiser == "sgd") return;
  Checkpoint stateless = middle;
  for (CheckpointTensor& tensor : stateless.tensors) {
    const ProgramTensor& of = program.Tensor(tensor.name);
    if (of.role == TensorRole::kState) std::fill(tensor.values.begin(), tensor.values.end(), 0);
  }
  saved.clear();
  auto third = MakeGoldenDevice(variant, dram);
  Train(program, recipe, data, kSteps, *third, nullptr, *evaluator, hooks, &stateless);
  EXPECT_NE(saved.back().tensors[0].values, end.tensors[0].values);
}

std::vector<Case> Cases() {
  std::vector<Case> cases;
  for (const char* optimiser : {"sgd", "momentum", "nesterov", "adam"}) {
    cases.push_back(
        {fmt::format("golden_tiny_{}", optimiser), "nano", {}, "tiny", optimiser, 16, false});
    cases.push_back(
        {fmt::format("golden_quad_tiny_{}", optimiser), "quad", {}, "tiny", optimiser, 32, false});
    cases.push_back(
        {fmt::format("golden_conv_{}", optimiser), "nano", {}, "tiny-conv", optimiser, 8, false});
  }
  for (const char* optimiser : {"sgd", "momentum", "adam"}) {
    cases.push_back(
        {fmt::format("rtl_tiny_{}", optimiser), "nano", {}, "tiny", optimiser, 16, true});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, Resume, testing::ValuesIn(Cases()),
                         [](const testing::TestParamInfo<Case>& c) { return c.param.name; });

// ---- the program

class CheckpointCommand : public testing::Test {
 protected:
  CheckpointCommand() { setenv("XDG_CACHE_HOME", VT_CACHE, 1); }

  std::vector<std::string> Argv(std::vector<std::string> more) const {
    std::vector<std::string> argv = {VT_PROGRAM, "train", "nano",    "tiny",
                                     "--batch",  "16",    "--steps", steps_};
    if (!rtl_) argv.insert(argv.end(), {"--engine", "golden"});
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }

  ProcessResult Run(const std::vector<std::string>& more) {
    return RunProcess(Argv(more), work_.path());
  }

  // Starts it, waits until it has saved, and sends a signal; gives the status of waitpid.
  int RunAndSignal(const std::vector<std::string>& more, const std::string& checkpoint,
                   int signal) {
    const std::vector<std::string> argv = Argv(more);
    std::vector<char*> words;
    for (const std::string& word : argv) words.push_back(const_cast<char*>(word.c_str()));
    words.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, Path("out").c_str(), O_WRONLY | O_CREAT, 0666);
    posix_spawn_file_actions_addopen(&actions, 2, Path("err").c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                     0666);
    posix_spawn_file_actions_addchdir_np(&actions, work_.path().c_str());
    pid_t child = -1;
    EXPECT_EQ(posix_spawn(&child, VT_PROGRAM, &actions, nullptr, words.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    int status = 0;
    while (!fs::exists(Path(checkpoint.c_str()))) {
      if (waitpid(child, &status, WNOHANG) == child) return status;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    kill(child, signal);
    waitpid(child, &status, 0);
    return status;
  }

  std::string Path(const char* name) const { return (work_.path() / name).string(); }

  // All of the checkpoint of an undisturbed run, apart from the cycles, which depend on when the
  // dies are refreshed.
  void ExpectSameEnd(const std::string& checkpoint) {
    ASSERT_EQ(Run({"--checkpoint", "whole.ckpt", "--json", "whole.json"}).status, 0);
    if (!rtl_) {
      EXPECT_EQ(ReadFile(Path(checkpoint.c_str())), ReadFile(Path("whole.ckpt")));
    }
    const auto whole = nlohmann::json::parse(ReadFile(Path("whole.json")));
    const auto resumed = nlohmann::json::parse(ReadFile(Path("resumed.json")));
    EXPECT_EQ(resumed["loss"].size(), std::stoul(steps_));
    for (const char* key : {"loss", "steps", "test_accuracy", "bit_exact", "tensors_compared",
                            "steps_compared", "seed"}) {
      EXPECT_EQ(resumed[key], whole[key]) << key;
    }
    EXPECT_TRUE(whole["resumed_after"].is_null());
    EXPECT_GT(resumed["resumed_after"], 0);
  }

  ScratchFolder work_;
  std::string steps_ = "300";
  bool rtl_ = false;
};

TEST_F(CheckpointCommand, AKilledRunGoesOn) {
  const int status = RunAndSignal({"--checkpoint", "c.ckpt", "--every", "7"}, "c.ckpt", SIGKILL);
  ASSERT_TRUE(WIFSIGNALED(status)) << "it was done before it was killed";
  const ProcessResult rest =
      Run({"--checkpoint", "c.ckpt", "--resume", "c.ckpt", "--json", "resumed.json"});
  ASSERT_EQ(rest.status, 0) << rest.err;
  ExpectSameEnd("c.ckpt");
}

TEST_F(CheckpointCommand, AnInterruptedRunSavesAndGoesOn) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string file = fmt::format("{}.ckpt", signal);
    const int status = RunAndSignal({"--checkpoint", file, "--every", "7"}, file, signal);
    ASSERT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + signal);
    const std::string err = ReadFile(Path("err"));
    EXPECT_THAT(err, StartsWith("vaultrain: interrupted after step "));
    EXPECT_THAT(err, HasSubstr("--resume " + file));
    EXPECT_EQ(std::count(err.begin(), err.end(), '\n'), 1) << err;
    const ProcessResult rest =
        Run({"--checkpoint", file, "--resume", file, "--json", "resumed.json"});
    ASSERT_EQ(rest.status, 0) << rest.err;
    ExpectSameEnd(file);
  }
}

TEST_F(CheckpointCommand, AnInterruptedRunOfTheRtlSavesAndGoesOn) {
  rtl_ = true;
  steps_ = "40";
  ASSERT_EQ(Run({"--checkpoint", "first.ckpt"}).status, 0);  // builds the model
  const int status = RunAndSignal({"--checkpoint", "c.ckpt", "--every", "3"}, "c.ckpt", SIGINT);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  const ProcessResult rest =
      Run({"--checkpoint", "c.ckpt", "--resume", "c.ckpt", "--json", "resumed.json"});
  ASSERT_EQ(rest.status, 0) << rest.err;
  ExpectSameEnd("c.ckpt");
}

TEST_F(CheckpointCommand, WhatDoesNotFitIsRefusedInOneLine) {
  steps_ = "4";
  ASSERT_EQ(Run({"--checkpoint", "c.ckpt"}).status, 0);
  std::string bytes = ReadFile(Path("c.ckpt"));
  WriteFile(Path("short.ckpt"), bytes.substr(0, bytes.size() / 2));
  bytes[bytes.size() / 2] ^= 1;
  WriteFile(Path("flipped.ckpt"), bytes);
  fs::copy(Resources().networks / "tiny.onnx", Path("own.onnx"));
  std::string recipe = ReadFile(Resources().networks / "tiny.train.toml");
  recipe.replace(recipe.find("\"sgd\""), 5, "\"adam\"");
  WriteFile(Path("own.train.toml"), recipe);
  auto expect = [&](std::vector<std::string> arguments, const std::string& words) {
    arguments.insert(arguments.begin(), {VT_PROGRAM, "train"});
    arguments.insert(arguments.end(), {"--engine", "golden"});
    const ProcessResult result = RunProcess(arguments, work_.path());
    EXPECT_EQ(result.status, 2) << ShellLine(arguments) << result.err;
    EXPECT_THAT(result.err, StartsWith("vaultrain: "));
    EXPECT_THAT(result.err, HasSubstr(words));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  };
  const std::vector<std::string> same = {"nano", "tiny", "--batch", "16", "--steps", "4"};
  auto with = [&same](const std::vector<std::string>& more) {
    std::vector<std::string> all = same;
    all.insert(all.end(), more.begin(), more.end());
    return all;
  };
  expect(with({"--resume", "short.ckpt"}), "short.ckpt: truncated");
  expect(with({"--resume", "flipped.ckpt"}), "flipped.ckpt: damaged");
  expect(with({"--resume", "absent.ckpt"}), "absent.ckpt: cannot be read");
  expect(with({"--resume", "own.train.toml"}), "not a checkpoint file");
  expect(with({"--resume", "c.ckpt", "--seed", "2"}), "seed = 1; this one has 2");
  expect(with({"--resume", "c.ckpt", "--set", "scratchpad.kib=128"}), "variant 'nano'");
  expect(with({"--resume", "c.ckpt", "--keep-gradients"}), "--keep-gradients");
  expect(with({"--every", "3"}), "--checkpoint");
  expect(with({"--checkpoint", "no/such.ckpt"}), "no/such.ckpt: cannot be written");
  expect({"nano-fp32", "tiny", "--batch", "16", "--steps", "4", "--resume", "c.ckpt"},
         "variant 'nano'");
  expect({"nano", "tiny", "--batch", "16", "--steps", "5", "--resume", "c.ckpt"}, "4 steps");
  expect({"nano", "tiny", "--batch", "8", "--steps", "4", "--resume", "c.ckpt"}, "batch = 16");
  expect({"nano", "tiny-conv", "--batch", "16", "--steps", "4", "--resume", "c.ckpt"},
         "network 'tiny'");
  expect({"nano", "own.onnx", "--batch", "16", "--steps", "4", "--resume", "c.ckpt"},
         "optimiser = 'sgd'; this one has 'adam'");
}

}  // namespace
}  // namespace vaultrain
