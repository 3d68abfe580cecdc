// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/isa.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>
#include <sstream>
#include <vector>

namespace vaultrain::isa {
namespace {

// VT_UPDATE=1 writes the file again.
TEST(Isa, VerilogHeaderIsTheCommittedOne) {
  const char* const path = VT_SOURCE_DIR "/rtl_templates/sequencer/vt_isa.vh";
  if (std::getenv("VT_UPDATE") != nullptr) std::ofstream(path) << VerilogHeader();
  std::ifstream file(path);
  std::stringstream committed;
  committed << file.rdbuf();
  EXPECT_EQ(VerilogHeader(), committed.str());
}

TEST(Isa, FieldsOfOneOpcodeDoNotOverlap) {
  for (char group : {'M', 'C', 'V', 'W', 'S', 'N', 'L'}) {
    std::vector<const char*> owner(kDescriptorBytes * 8, nullptr);
    for (const Field& field : Fields()) {
      if (!HasField(group, field)) continue;
      for (int i = 0; i < field.count; ++i) {
        for (int b = 0; b < field.bits; ++b) {
          const int bit = field.lsb + i * field.stride + b;
          ASSERT_LT(bit, kDescriptorBytes * 8) << field.name;
          EXPECT_EQ(owner[bit], nullptr) << field.name << " over " << owner[bit];
          owner[bit] = field.name;
        }
      }
    }
  }
}

TEST(Isa, EveryFieldGivesBackWhatWasSet) {
  std::mt19937_64 random(1);
  for (size_t f = 0; f < Fields().size(); ++f) {
    const Field& field = Fields()[f];
    for (int i = 0; i < field.count; ++i) {
      Descriptor descriptor;
      const int64_t span = int64_t{1} << field.bits;
      const int64_t value =
          static_cast<int64_t>(random() % span) - (field.is_signed ? span / 2 : 0);
      descriptor.Set(static_cast<FieldId>(f), value, i);
      EXPECT_EQ(descriptor.Get(static_cast<FieldId>(f), i), value) << field.name;
      EXPECT_THROW(descriptor.Set(static_cast<FieldId>(f), span, i), std::out_of_range);
      EXPECT_THROW(descriptor.Set(static_cast<FieldId>(f), -span, i), std::out_of_range);
    }
  }
}

TEST(Isa, IncrementsWalkTheStrides) {
  const std::array<int64_t, kLoops> bounds = {3, 2, 4, 1, 2, 2};
  const std::array<int64_t, kLoops> strides = {1, -7, 100, 5, 1000, -3};
  const auto increments = Increments(bounds, strides);
  std::array<int64_t, kLoops> index{};
  int64_t address = 0;
  for (;;) {
    int64_t expected = 0;
    for (int k = 0; k < kLoops; ++k) expected += index[k] * strides[k];
    ASSERT_EQ(address, expected);
    int k = 0;
    while (k < kLoops && ++index[k] == bounds[k]) index[k++] = 0;
    if (k == kLoops) break;
    address += increments[k];
  }
}

}  // namespace
}  // namespace vaultrain::isa
