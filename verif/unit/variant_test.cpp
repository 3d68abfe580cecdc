// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/variant.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "draw_variant.h"
#include "vaultrain/error.h"

namespace vaultrain {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const std::vector<std::filesystem::path> kShipped = {VT_SOURCE_DIR "/generator/variants"};

// The message with which a variant is refused; "" if it is not.
std::string Refusal(std::string_view toml, const std::vector<std::string>& overrides = {}) {
  try {
    ParseVariant(toml, "my.toml", overrides);
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "";
}

TEST(Variant, EveryShippedVariantReadsBackFromItsResolvedText) {
  ASSERT_THAT(ListVariants(kShipped), testing::IsSupersetOf({"nano", "nano-fp32"}));
  for (const std::string& name : ListVariants(kShipped)) {
    Variant variant = LoadVariant(name, {}, kShipped);
    EXPECT_EQ(variant.name, name);
    EXPECT_EQ(ResolvedToml(ParseVariant(ResolvedToml(variant), "x.toml")), ResolvedToml(variant));
  }
}

TEST(Variant, NanoIsTheArrayThatItsFileDescribes) {
  Variant nano = LoadVariant("nano", {}, kShipped);
  EXPECT_EQ(nano.MacsPerCycle(), 64);
  EXPECT_EQ(nano.WordBits(), 256);
  EXPECT_EQ(nano.array.align_bits, 24);
  EXPECT_EQ(nano.WordBeats(), 4);
  EXPECT_EQ(nano.ScratchpadWords(), 8192);
  EXPECT_EQ(nano.BankWords(), 2048);
  EXPECT_EQ(nano.AddressBits(), 27);
  Variant fp32 = LoadVariant("nano-fp32", {}, kShipped);
  EXPECT_EQ(fp32.WordBits(), 256);
  EXPECT_EQ(fp32.MacsPerCycle(), 32);
  EXPECT_EQ(fp32.array.align_bits, 36);
}

TEST(Variant, DigestFollowsValuesAndNotTheirSpelling) {
  Variant plain = ParseVariant("array.cols = 8\narray.rows = 2\n", "a.toml");
  Variant other = ParseVariant("# same\n[array]\nrows = 2\ncols = 4\n", "a.toml", {"array.cols=8"});
  EXPECT_EQ(VariantDigest(plain), VariantDigest(other));
  EXPECT_NE(VariantDigest(plain), VariantDigest(ParseVariant("array.cols = 8\n", "a.toml")));
}

TEST(Variant, UnknownKeyIsRefusedWithItsLineAndTheNearestKey) {
  EXPECT_EQ(Refusal("clock_ps = 1000\n[array]\ncol = 2\n"),
            "my.toml:3: unknown key 'array.col'; nearest key: array.cols (all: vaultrain list "
            "--keys)");
  EXPECT_THAT(Refusal("", {"banks=4"}), HasSubstr("nearest key: scratchpad.banks"));
  EXPECT_THAT(Refusal("[scratchpat]\n"), StartsWith("my.toml:1: unknown key 'scratchpat'"));
}

TEST(Variant, SyntaxErrorIsRefusedWithFileAndLine) {
  EXPECT_THAT(Refusal("[array]\nrows = \n"), StartsWith("my.toml:2: not TOML: "));
}

TEST(Variant, EveryKeyRefusesWhatIsOutsideItsRangeOrType) {
  for (const VariantKey& key : VariantKeys()) {
    std::vector<std::string> wrong = {"1.5", "[1]", "true", "\"No Such Value\""};
    if (std::holds_alternative<int& (*)(Variant&)>(key.field)) {
      wrong.push_back(std::to_string(key.min - 1));
      wrong.push_back(std::to_string(key.max + 1));
      wrong.push_back("5000000000");
      if (key.type == KeyType::kPowerOfTwo) wrong.push_back(std::to_string(2 * key.min + 1));
    } else {
      wrong.push_back("1");
    }
    for (const std::string& value : wrong) {
      std::string refusal = Refusal(fmt::format("{} = {}\n", key.key, value));
      EXPECT_THAT(refusal, StartsWith(fmt::format("my.toml:1: {} ", key.key))) << value;
      EXPECT_THAT(refusal, HasSubstr("accepted: " + AcceptedText(key))) << value;
    }
  }
}

TEST(Variant, SetRefusesWhatIsNoKeyWithAValue) {
  EXPECT_THAT(Refusal("", {"array.cols"}), HasSubstr("accepted: key=value"));
  EXPECT_THAT(Refusal("", {"=8"}), HasSubstr("accepted: key=value"));
  EXPECT_EQ(Refusal("", {"array.cols=99"}),
            "--set array.cols = 99 is not accepted; accepted: integer 1..16");
}

TEST(Variant, UnknownVariantListsTheShippedOnes) {
  for (const char* name : {"nanno", "../nano", "absent.toml"}) {
    try {
      LoadVariant(name, {}, kShipped);
      FAIL() << name;
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr(name));
      EXPECT_THAT(error.what(), HasSubstr("nano, nano-fp32"));
    }
  }
}

TEST(Variant, EveryRuleRefusesByName) {
  const std::map<std::string_view, std::vector<std::string>> breaks = {
      {"word_bits", {"array.lanes=4", "array.rows=1"}},
      {"word_of_output_rows", {"array.cols=3"}},
      {"lane_functions", {"lanes.functions=8"}},
      {"align_bits", {"operand_format=fp32", "array.lanes=8", "array.align_bits=24"}},
      {"fraction_bits", {"operand_format=fx16", "fraction_bits=0"}},
      {"gradient_format", {"gradient_format=fx32"}},
      {"rounding", {"operand_format=fp32", "array.lanes=8", "rounding=truncate"}},
      {"sum_bits", {"array.align_bits=23"}},
      {"scratchpad_words", {"array.lanes=8", "array.align_bits=25", "scratchpad.kib=2048"}},
      {"bank_words", {"scratchpad.kib=32", "scratchpad.banks=8", "array.rows=4"}},
      {"dram_windows", {"dram.read_queue=8", "dram.read_window=9"}},
      {"mesh_shape", {"vaults=4", "mesh.x=2"}},
      {"link_bits", {"mesh.link_bits=512"}},
      {"ecc_words", {"dram.ecc=on", "dram.data_bits=32"}},
  };
  for (const VariantRule& rule : VariantRules()) {
    if (!rule.broken) continue;  // of another test
    ASSERT_TRUE(breaks.count(rule.name)) << "no example breaks " << rule.name;
    std::string refusal = Refusal("", breaks.at(rule.name));
    EXPECT_THAT(refusal, StartsWith(fmt::format("my.toml: breaks rule {}: ", rule.name)));
    EXPECT_THAT(refusal, HasSubstr("accepted: "));
  }
}

TEST(Variant, GradientsOfFx32NeedTheirGuardBits) {
  const std::vector<std::string> fx32 = {"operand_format=fx16", "gradient_format=fx32"};
  auto with = [&](int align_bits) {
    std::vector<std::string> keys = fx32;
    keys.push_back(fmt::format("array.align_bits={}", align_bits));
    return keys;
  };
  EXPECT_THAT(Refusal("", fx32), HasSubstr("breaks rule align_bits"));
  EXPECT_THAT(Refusal("", with(38)), HasSubstr("accepted: 39 or more"));
  EXPECT_EQ(Refusal("", with(39)), "");
  EXPECT_THAT(Refusal("", {"operand_format=fp16", "gradient_format=fx32"}),
              HasSubstr("breaks rule gradient_format"));
  const Variant nano = LoadVariant("nano-fx32", {}, kShipped);
  EXPECT_TRUE(nano.HasWideGradients());
  EXPECT_EQ(nano.array.align_bits, 43);
  EXPECT_FALSE(LoadVariant("nano-fx16", {}, kShipped).HasWideGradients());
}

TEST(Variant, DrawnVariantsAreLegalOrRefusedByANamedRule) {
  std::mt19937 random(1);
  int legal = 0;
  int wide = 0;  // of these, with gradients of fx32
  constexpr int kDraws = 2000;
  for (int i = 0; i < kDraws; ++i) {
    std::vector<std::string> overrides = DrawOverrides(random);
    std::string refusal = Refusal("", overrides);
    if (!refusal.empty()) {
      bool named = false;
      for (const VariantRule& rule : VariantRules()) {
        named |= refusal.starts_with(fmt::format("my.toml: breaks rule {}: ", rule.name));
      }
      EXPECT_TRUE(named) << "draw " << i << ": " << refusal;
      continue;
    }
    ++legal;
    Variant v = ParseVariant("", "my.toml", overrides);
    wide += v.HasWideGradients();
    EXPECT_EQ(v.BankWords() * v.scratchpad.banks * (v.WordBits() / 8), v.scratchpad.kib * 1024);
    EXPECT_EQ(v.WordBeats() * v.dram.data_bits, v.WordBits());
    EXPECT_EQ(VariantDigest(ParseVariant(ResolvedToml(v), "y.toml")), VariantDigest(v));
  }
  EXPECT_GT(legal, 20);
  EXPECT_GT(wide, 2) << "of " << legal;
  EXPECT_LT(legal, kDraws);
}

TEST(Variant, ReferenceNamesEveryKeyAndRule) {
  std::string reference = VariantReference();
  for (const VariantKey& key : VariantKeys()) {
    EXPECT_THAT(reference, HasSubstr(fmt::format("`{}`", key.key)));
  }
  for (const VariantRule& rule : VariantRules()) {
    EXPECT_THAT(reference, HasSubstr(fmt::format("`{}`", rule.name)));
  }
}

}  // namespace
}  // namespace vaultrain
