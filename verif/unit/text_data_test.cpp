// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <iostream>
#include <set>

#include "vaultrain/dataset.h"
#include "vaultrain/digest.h"
#include "vaultrain/error.h"
#include "vaultrain/output.h"
#include "vaultrain/random.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

std::span<const uint8_t> BytesOf(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// The characters of a run, as in the text.
std::string Spelled(const TextDataset& data, std::span<const uint8_t> classes) {
  std::string text;
  for (const uint8_t c : classes) text += static_cast<char>(data.vocabulary[c]);
  return text;
}

void ExpectRefusal(const std::string& words, const std::function<void()>& read) {
  try {
    read();
    FAIL() << "was taken; expected: " << words;
  } catch (const Error& error) {
    EXPECT_EQ(error.status(), ExitStatus::kUnusableInput);
    EXPECT_THAT(error.what(), HasSubstr(words));
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
  }
}

// What holds for every text: labels follow their characters, runs follow each other and stay
// within their part.
void ExpectWellCut(const TextTrainTest& data, const std::string& text, int steps) {
  const size_t train = data.train.text.size();
  EXPECT_EQ(train + data.test.text.size(), text.size());
  EXPECT_EQ(Spelled(data.train, data.train.text), text.substr(0, train));
  EXPECT_EQ(Spelled(data.test, data.test.text), text.substr(train));
  EXPECT_TRUE(std::is_sorted(data.train.vocabulary.begin(), data.train.vocabulary.end()));
  EXPECT_EQ(data.train.vocabulary, data.test.vocabulary);
  const std::set<char> different(text.begin(), text.end());
  EXPECT_EQ(data.train.vocabulary.size(), different.size());
  for (const TextDataset* part : {&data.train, &data.test}) {
    ASSERT_GT(part->size(), 0);
    EXPECT_LT(part->begins.front(), static_cast<uint32_t>(steps));
    for (int64_t i = 0; i < part->size(); ++i) {
      ASSERT_EQ(part->characters(i).size(), static_cast<size_t>(steps));
      ASSERT_EQ(part->labels(i).size(), static_cast<size_t>(steps));
      ASSERT_LE(part->begins[i] + static_cast<size_t>(steps) + 1, part->text.size());
      if (i > 0) {
        ASSERT_EQ(part->begins[i] - part->begins[i - 1], static_cast<uint32_t>(steps));
      }
    }
    // Nothing is left that would have been another run.
    EXPECT_GT(part->begins.back() + 2 * static_cast<size_t>(steps) + 1, part->text.size());
  }
}

TEST(TextData, TheLabelOfACharacterIsTheNextOne) {
  const std::string text = "abacabadabacabaeabacabadabacaba.abacaba.";
  const TextTrainTest data = CutText(BytesOf(text), "text", {3, 8, 8}, 1);
  ExpectWellCut(data, text, 3);
  EXPECT_THAT(data.train.vocabulary, ElementsAre('.', 'a', 'b', 'c', 'd', 'e'));
  for (int64_t i = 0; i < data.train.size(); ++i) {
    const size_t begin = data.train.begins[i];
    EXPECT_EQ(Spelled(data.train, data.train.characters(i)), text.substr(begin, 3));
    EXPECT_EQ(Spelled(data.train, data.train.labels(i)), text.substr(begin + 1, 3));
  }
}

TEST(TextData, StepsAreOneHotOrClasses) {
  const std::string text = "abcabcabcabcabcabcabcabcabcabc";
  const TextTrainTest data = CutText(BytesOf(text), "text", {2, 4, 3}, 1);
  const uint32_t samples[] = {1, 0};
  const TextStepData one_hot = GatherTextStep(data.train, {2, 4, 3}, samples);
  ASSERT_EQ(one_hot.inputs.size(), 2u * 2u * 4u);
  ASSERT_EQ(one_hot.labels.size(), 4u);
  const TextStepData classes = GatherTextStep(data.train, {2, 1, 3}, samples);
  ASSERT_EQ(classes.inputs.size(), 4u);
  EXPECT_EQ(classes.labels, one_hot.labels);
  for (size_t t = 0; t < 4; ++t) {
    const uint8_t c = data.train.characters(samples[t / 2])[t % 2];
    EXPECT_EQ(classes.inputs[t], c);
    EXPECT_EQ(one_hot.labels[t], (c + 1) % 3);
    for (size_t f = 0; f < 4; ++f) EXPECT_EQ(one_hot.inputs[4 * t + f], f == c ? 1.0f : 0.0f);
  }
}

TEST(TextData, TheSeedAloneDrawsTheCut) {
  const SequenceShape shape{50, 64, 64};
  auto begin = [&](uint64_t seed) { return LoadText({}, shape, seed).train.begins; };
  EXPECT_EQ(begin(7), begin(7));
  std::set<uint32_t> firsts;
  for (uint64_t seed = 1; seed <= 20; ++seed) firsts.insert(begin(seed).front());
  EXPECT_GT(firsts.size(), 10u);
}

TEST(TextData, WrittenSentencesAreTheSameEverywhere) {
  const std::string text = WriteSentences(200'000);
  EXPECT_EQ(text.size(), 200'000u);
  EXPECT_EQ(WriteSentences(1000), text.substr(0, 1000));
  EXPECT_EQ(ToHex(Sha256(text)).substr(0, 16), "7681a5e10774e76b");
  const TextTrainTest data = LoadText({}, {32, 64, 64}, 1);
  ExpectWellCut(data, text, 32);
  EXPECT_LE(data.train.vocabulary.size(), 40u);
}

TEST(TextData, FilesAreFoundPlainOrGzip) {
  const std::string text = WriteSentences(2000);
  const SequenceShape shape{16, 64, 64};
  ScratchFolder folder;
  ExpectRefusal("0 files of text", [&] { ReadText(folder.path(), shape, 1); });
  WriteFile(folder.path() / "story.txt", text);
  WriteFile(folder.path() / "notes.md", "no text");
  ExpectWellCut(ReadText(folder.path(), shape, 1), text, 16);
  WriteFile(folder.path() / "other.txt", text);
  ExpectRefusal("2 files of text", [&] { ReadText(folder.path(), shape, 1); });
  // input.txt goes before all others.
  gzFile zipped = gzopen((folder.path() / "input.txt.gz").c_str(), "wb");
  gzwrite(zipped, text.data(), 1000);
  gzclose(zipped);
  ExpectWellCut(ReadText(folder.path(), shape, 1), text.substr(0, 1000), 16);
  WriteFile(folder.path() / "input.txt", text.substr(0, 500));
  ExpectWellCut(ReadText(folder.path(), shape, 1), text.substr(0, 500), 16);
  ExpectRefusal("absent", [&] { ReadText(folder.path() / "absent", shape, 1); });
}

TEST(TextData, WhatDoesNotSuitTheNetworkIsRefused) {
  const std::string text = "abcdefghij abcdefghij abcdefghij";
  auto cut = [&](const SequenceShape& shape) {
    return [=] { CutText(BytesOf(text), "t.txt", shape, 1); };
  };
  ExpectRefusal("t.txt: 11 different bytes; the network accepts up to 10, its input features",
                cut({2, 10, 11}));
  ExpectRefusal("t.txt: 11 different bytes; the network accepts up to 10, its classes",
                cut({2, 1, 10}));
  ExpectRefusal("t.txt: 3 characters to test", cut({3, 16, 16}));
  ExpectRefusal("t.txt: 0 characters to train", [] { CutText({}, "t.txt", {3, 16, 16}, 1); });
  ExpectRefusal("recurrent", [] { LoadData({}, "text", 64, 10); });
}

TEST(TextData, AnyBytesAreCutWell) {
  Random random(5, "text bytes");
  for (int i = 0; i < 50; ++i) {
    std::string text(100 + random.Below(400), '\0');
    for (char& c : text) c = static_cast<char>(random.Below(256));
    const int steps = 1 + static_cast<int>(random.Below(9));
    ExpectWellCut(CutText(BytesOf(text), "bytes", {steps, 256, 256}, random.Next()), text, steps);
  }
}

TEST(TextData, TinyShakespeare) {
  const char* folder = std::getenv("VAULTRAIN_DATA");
  if (folder == nullptr || !fs::exists(fs::path(folder) / "tinyshakespeare")) {
    GTEST_SKIP() << "no text at hand: set VAULTRAIN_DATA to the folder of tinyshakespeare/";
  }
  const fs::path place = fs::path(folder) / "tinyshakespeare";
  const TextTrainTest data = ReadText(place, {64, 65, 65}, 1);
  const std::string text = ReadFile(place / "input.txt");
  ExpectWellCut(data, text, 64);
  EXPECT_EQ(data.train.vocabulary.size(), 65u);
  EXPECT_GT(data.train.size(), 15000);
  // An epoch of steps takes every sequence once.
  DataOrder order(static_cast<uint32_t>(data.train.size()), 32, 1);
  const TextStepData step = GatherTextStep(data.train, {64, 65, 65}, order.Batch(0));
  EXPECT_EQ(step.inputs.size(), 32u * 64u * 65u);
  EXPECT_EQ(std::count(step.inputs.begin(), step.inputs.end(), 1.0f), 32 * 64);
  std::cout << data.train.size() << " sequences to train, " << data.test.size() << " to test\n";
  ExpectRefusal("65 different bytes", [&] { ReadText(place, {64, 64, 65}, 1); });
}

}  // namespace
}  // namespace vaultrain
