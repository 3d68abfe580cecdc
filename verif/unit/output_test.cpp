// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/output.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <functional>
#include <thread>

#include "vaultrain/error.h"
#include "vaultrain/process.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Names in a folder, sorted, hidden ones too.
std::vector<std::string> Names(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    names.push_back(entry.path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(OutputFolder, AppearsWholeOnCommit) {
  ScratchFolder scratch;
  {
    OutputFolder out(scratch.path() / "new/out/");
    out.Write("a/b.txt", "bytes");
    EXPECT_FALSE(fs::exists(scratch.path() / "new/out"));
    out.Commit();
  }
  EXPECT_EQ(ReadFile(scratch.path() / "new/out/a/b.txt"), "bytes");
  EXPECT_THAT(Names(scratch.path() / "new"), testing::ElementsAre("out"));
}

TEST(ScratchFolder, WithoutAFolderForItIsUnusableInput) {
  const char* before = std::getenv("TMPDIR");
  const std::string kept = before == nullptr ? "" : before;
  setenv("TMPDIR", "/nowhere/to/be/found", 1);
  try {
    const ScratchFolder scratch;
    ADD_FAILURE() << "made " << scratch.path();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
    EXPECT_THAT(error.what(), HasSubstr("TMPDIR"));
  }
  before == nullptr ? unsetenv("TMPDIR") : setenv("TMPDIR", kept.c_str(), 1);
}

TEST(OutputFolder, TakesAnEmptyFolder) {
  ScratchFolder scratch;
  fs::create_directory(scratch.path() / "out");
  OutputFolder out(scratch.path() / "out");
  out.Write("x", "1");
  out.Commit();
  EXPECT_EQ(ReadFile(scratch.path() / "out/x"), "1");
}

TEST(OutputFolder, LeavesNothingWithoutCommit) {
  ScratchFolder scratch;
  {
    OutputFolder out(scratch.path() / "out");
    out.Write("x", "1");
  }
  EXPECT_TRUE(fs::is_empty(scratch.path()));
}

TEST(OutputFolder, RefusesAFullFolderAFileAndAPlaceThatRefusesWriting) {
  ScratchFolder scratch;
  WriteFile(scratch.path() / "full", "a file");
  std::pair<fs::path, const char*> refused[] = {
      {scratch.path(), "is not empty"},
      {scratch.path() / "full", "is a file"},
      {scratch.path() / "full/below", "cannot be written"},
      {"/proc/vaultrain", "cannot be written"},
  };
  for (const auto& [target, message] : refused) {
    try {
      OutputFolder out(target);
      ADD_FAILURE() << target;
    } catch (const Error& error) {
      EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
      EXPECT_THAT(error.what(), HasSubstr(message));
      EXPECT_THAT(error.what(), HasSubstr(target.string()));
    }
  }
  EXPECT_THAT(Names(scratch.path()), testing::ElementsAre("full"));
}

TEST(WriteFile, ReplacesWholeAndLeavesNoTemporary) {
  ScratchFolder scratch;
  WriteFile(scratch.path() / "f", "long bytes");
  WriteFile(scratch.path() / "f", "short");
  EXPECT_EQ(ReadFile(scratch.path() / "f"), "short");
  EXPECT_THAT(Names(scratch.path()), testing::ElementsAre("f"));
  EXPECT_THROW(WriteFile(scratch.path() / "no/such/folder/f", "x"), Error);
  EXPECT_THROW(WriteFile(scratch.path(), "x"), Error);
}

TEST(RunProcess, CapturesBothStreamsAndTheStatus) {
  ProcessResult result = RunProcess({"sh", "-c", "pwd; echo fault >&2; exit 7"}, "/");
  EXPECT_EQ(result.status, 7);
  EXPECT_EQ(result.out, "/\n");
  EXPECT_EQ(result.err, "fault\n");
  EXPECT_EQ(RunProcess({"sh", "-c", "kill -9 $$"}).status, 137);
}

TEST(RunProcess, AMissingToolIsStatus3) {
  try {
    RunProcess({"vaultrain-no-such-tool"});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kToolMissing);
    EXPECT_THAT(error.what(), HasSubstr("vaultrain-no-such-tool"));
  }
}

TEST(ShellLine, SurvivesAShell) {
  std::string hard = "it's $HOME; *";
  ProcessResult result = RunProcess({"sh", "-c", ShellLine({"printf", "%s", hard})});
  EXPECT_EQ(result.out, hard);
}

// Ten seconds at most; ends as soon as the condition holds.
bool WaitFor(const std::function<bool()>& condition) {
  for (int i = 0; i < 1000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

TEST(Interruption, EndsToolsRemovesWhatIsHalfWrittenAndExitsWith130) {
  // Not a ScratchFolder: the child would inherit it as something to remove.
  const fs::path folder = fs::temp_directory_path() / fmt::format("vaultrain_output_{}", getpid());
  fs::remove_all(folder);
  fs::create_directory(folder);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    InstallInterruptHandler();
    OutputFolder out(folder / "out");
    out.Write("x", "1");
    std::string pid_file = (folder / "tool").string();
    RunProcess(
        {"sh", "-c",
         "echo $$ > " + pid_file + ".new; mv " + pid_file + ".new " + pid_file + "; sleep 60"});
    _exit(0);
  }
  fs::path pid_file = folder / "tool";
  bool started = WaitFor([&] { return fs::exists(pid_file); });
  kill(child, started ? SIGINT : SIGKILL);
  int status = 0;
  waitpid(child, &status, 0);
  ASSERT_TRUE(started);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_THAT(Names(folder), testing::ElementsAre("tool"));
  pid_t tool = std::stoi(ReadFile(pid_file));
  // A process that has ended but was not yet collected still answers to signal 0.
  auto gone = [&] {
    if (kill(tool, 0) != 0) return true;
    std::ifstream stat(fmt::format("/proc/{}/stat", tool));
    std::string text((std::istreambuf_iterator<char>(stat)), {});
    return text.find(") Z ") != std::string::npos;
  };
  EXPECT_TRUE(WaitFor(gone));
  fs::remove_all(folder);
}

}  // namespace
}  // namespace vaultrain
