// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/lane_program.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>

namespace vaultrain::lanes {
namespace {

// VT_UPDATE=1 writes the file again.
TEST(LaneProgram, VerilogHeaderIsTheCommittedOne) {
  const char* const path = VT_SOURCE_DIR "/rtl_templates/lanes/vt_lane_isa.vh";
  if (std::getenv("VT_UPDATE") != nullptr) std::ofstream(path) << VerilogHeader();
  std::ifstream file(path);
  std::stringstream committed;
  committed << file.rdbuf();
  EXPECT_EQ(VerilogHeader(), committed.str());
}

TEST(LaneProgram, EveryFieldGivesBackWhatWasSetAndLeavesTheRest) {
  std::mt19937 random(1);
  for (size_t f = 0; f < Fields().size(); ++f) {
    const Field& field = Fields()[f];
    const auto id = static_cast<FieldId>(f);
    const int64_t span = int64_t{1} << field.bits;
    for (int i = 0; i < 50; ++i) {
      const uint32_t before = random();
      uint32_t word = before;
      const int64_t value =
          static_cast<int64_t>(random() % span) - (field.is_signed ? span / 2 : 0);
      Set(word, id, value);
      EXPECT_EQ(Get(word, id), value) << field.name;
      const uint32_t mask = static_cast<uint32_t>(span - 1) << field.lsb;
      EXPECT_EQ((word ^ before) & ~mask, 0u) << field.name;
      EXPECT_THROW(Set(word, id, span), std::out_of_range);
      EXPECT_THROW(Set(word, id, -span), std::out_of_range);
    }
  }
}

TEST(LaneProgram, NumbersOfOperationsDiffer) {
  for (const OpInfo& a : Ops()) {
    for (const OpInfo& b : Ops()) EXPECT_TRUE(&a == &b || a.op != b.op) << a.name << b.name;
  }
}

TEST(LaneProgram, ConstantsTakeOneWordWhereOneIsEnough) {
  Section s;
  s.Constant(1, 3.0f).Constant(2, 0.1f);
  ASSERT_EQ(s.words().size(), 3u);
  EXPECT_EQ(ToText(s.words()[0]), "ldh d1 high=16448");
  EXPECT_EQ(s.words()[2], 0x3DCCCCCDu);
}

TEST(LaneProgram, OnlyAMadTakesValuesOfAStream) {
  Section s;
  EXPECT_THROW(s.TakeWide(Taken::kA, 1), std::out_of_range);
  s.Mad(1, 2, 3, 4).TakeOperands(Taken::kC, 3);
  EXPECT_EQ(ToText(s.words()[0]),
            "mad d1 a2 b3 c4 neg_product=0 neg_c=0 one=0 no_c=0 taken=3 taken_stream=3 "
            "taken_wide=0");
  EXPECT_THROW(s.Max(1, 2, 3).TakeWide(Taken::kA, 1), std::out_of_range);
}

// The streams of a job walk their strides, whatever the groups do.
TEST(LaneProgram, DescriptorsWalkTheStrides) {
  Program program;
  program.body.LoadWide(0, 0);
  Job job;
  job.groups = 5;
  job.bounds = {3, 1, 4};
  job.streams[2] = {64, {7, -5, 1000, 300}};
  const isa::Descriptor d = MakeDescriptor(program, 12, job);
  EXPECT_EQ(d.Get(isa::FieldId::kLProgram), 12);
  EXPECT_EQ(d.Get(isa::FieldId::kLBase, 2), 64);
  EXPECT_EQ(d.Get(isa::FieldId::kLInc, 8), 7);
  int64_t at = 0;
  for (int outer = 0; outer < 4; ++outer) {
    for (int inner = 0; inner < 3; ++inner) {
      EXPECT_EQ(at, -5 * inner + 300 * outer);
      at += d.Get(isa::FieldId::kLInc, inner < 2 ? 9 : 11);
    }
  }
}

TEST(LaneProgram, TooLongProgramsAreRefused) {
  Program program;
  for (int i = 0; i < 127; ++i) program.body.Copy(0, 1);
  program.final.Copy(0, 1);
  EXPECT_NO_THROW(MakeDescriptor(program, 0, {}));
  program.init.Copy(0, 1);
  EXPECT_THROW(MakeDescriptor(program, 0, {}), std::out_of_range);
}

}  // namespace
}  // namespace vaultrain::lanes
