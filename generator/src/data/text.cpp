// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// Texts as sequences of characters.

#include <algorithm>
#include <array>

#include "data/byte_file.h"
#include "vaultrain/dataset.h"
#include "vaultrain/random.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr size_t kWrittenBytes = 200'000;
constexpr uint64_t kWriteSeed = 1;  // the text is one and the same for every run
constexpr int64_t kTestShare = 10;  // one part in so many

// begins of the runs of one part.
TextDataset Cut(std::span<const uint8_t> classes, const TextDataset& common, int steps,
                uint64_t seed, const char* stream) {
  TextDataset data = common;
  data.text.assign(classes.begin(), classes.end());
  data.steps = steps;
  // A run needs the character behind it.
  if (data.text.size() <= static_cast<size_t>(steps)) {
    RefuseInput("{}: {} characters to {}; accepted: more than the {} of a sequence", data.source,
                data.text.size(), stream, steps);
  }
  const size_t room = data.text.size() - static_cast<size_t>(steps);
  Random random(seed, fmt::format("text/{}", stream));
  size_t at = random.Below(std::min<uint64_t>(static_cast<uint64_t>(steps), room));
  for (; at < room; at += static_cast<size_t>(steps)) {
    data.begins.push_back(static_cast<uint32_t>(at));
  }
  return data;
}

// "input.txt", or the only .txt.
fs::path FindText(const fs::path& directory) {
  if (!fs::is_directory(directory)) {
    RefuseInput("{}: no such directory; accepted: one with input.txt", directory.string());
  }
  std::vector<fs::path> texts;
  for (const char* name : {"input.txt", "input.txt.gz"}) {
    if (fs::is_regular_file(directory / name)) return directory / name;
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && (name.ends_with(".txt") || name.ends_with(".txt.gz"))) {
      texts.push_back(entry.path());
    }
  }
  if (texts.size() != 1) {
    RefuseInput("{}: {} files of text; accepted: input.txt, or one .txt", directory.string(),
                texts.size());
  }
  return texts.front();
}

}  // namespace

TextTrainTest CutText(std::span<const uint8_t> text, const std::string& source,
                      const SequenceShape& shape, uint64_t seed) {
  TextDataset common;
  common.source = source;
  std::array<bool, 256> occurs{};
  for (const uint8_t byte : text) occurs[byte] = true;
  std::array<uint8_t, 256> class_of{};
  for (size_t byte = 0; byte < occurs.size(); ++byte) {
    if (!occurs[byte]) continue;
    class_of[byte] = static_cast<uint8_t>(common.vocabulary.size());
    common.vocabulary.push_back(static_cast<uint8_t>(byte));
  }
  const auto different = static_cast<int64_t>(common.vocabulary.size());
  if (shape.features > 1 && different > shape.features) {
    RefuseInput("{}: {} different bytes; the network accepts up to {}, its input features", source,
                different, shape.features);
  }
  if (different > shape.classes) {
    RefuseInput("{}: {} different bytes; the network accepts up to {}, its classes", source,
                different, shape.classes);
  }
  std::vector<uint8_t> classes(text.size());
  std::transform(text.begin(), text.end(), classes.begin(),
                 [&](uint8_t byte) { return class_of[byte]; });
  const std::span<const uint8_t> all(classes);
  const size_t train = text.size() - text.size() / kTestShare;
  return {Cut(all.first(train), common, shape.steps, seed, "train"),
          Cut(all.subspan(train), common, shape.steps, seed, "test")};
}

TextTrainTest ReadText(const fs::path& directory, const SequenceShape& shape, uint64_t seed) {
  ByteFile file(FindText(directory));
  std::vector<uint8_t> text;
  std::array<uint8_t, 65536> piece;
  for (size_t got = 1; got > 0;) {
    got = file.Read(piece.data(), piece.size());
    text.insert(text.end(), piece.begin(), piece.begin() + static_cast<ptrdiff_t>(got));
    if (text.size() > ByteFile::kMaxBytes) {
      RefuseInput("{}: more than the {} bytes of text that are accepted", file.path(),
                  ByteFile::kMaxBytes);
    }
  }
  return CutText(text, file.path(), shape, seed);
}

std::string WriteSentences(size_t bytes) {
  static constexpr const char* kWho[] = {"the cook", "a sailor", "my sister", "the old king",
                                         "no one",   "a fox",    "the judge", "her brother"};
  static constexpr const char* kDoes[] = {"sees",  "wants", "hides", "paints",
                                          "sells", "finds", "takes", "praises"};
  static constexpr const char* kWhat[] = {"a red boat", "the last apple", "some bread",
                                          "two horses", "a quiet garden", "the moon",
                                          "his hat",    "nothing"};
  static constexpr const char* kHow[] = {"today", "in the rain", "before dawn", "with joy",
                                         "again", "by the sea",  "for love",    "at last"};
  static constexpr const char* kLinks[] = {" and ", ", but ", ", for ", "; "};
  Random random(kWriteSeed, "text/sentences");
  auto pick = [&random](const auto& words) { return words[random.Below(std::size(words))]; };
  std::string text;
  while (text.size() < bytes) {
    const size_t begin = text.size();
    for (bool more = true; more;) {
      text += fmt::format("{} {} {}", pick(kWho), pick(kDoes), pick(kWhat));
      if (random.Below(2) == 1) text += fmt::format(" {}", pick(kHow));
      more = random.Below(3) == 0;
      if (more) text += pick(kLinks);
    }
    text[begin] = static_cast<char>(text[begin] - 'a' + 'A');
    text += random.Below(4) == 0 ? ".\n" : ". ";
  }
  text.resize(bytes);
  return text;
}

TextTrainTest LoadText(const std::optional<fs::path>& data_directory, const SequenceShape& shape,
                       uint64_t seed) {
  if (data_directory) return ReadText(*data_directory, shape, seed);
  const std::string text = WriteSentences(kWrittenBytes);
  return CutText({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, "written sentences",
                 shape, seed);
}

TextStepData GatherTextStep(const TextDataset& data, const SequenceShape& shape,
                            std::span<const uint32_t> samples) {
  TextStepData step;
  const auto features = static_cast<size_t>(shape.features);
  step.inputs.resize(samples.size() * static_cast<size_t>(data.steps) * features);
  float* to = step.inputs.data();
  for (const uint32_t sample : samples) {
    for (const uint8_t character : data.characters(sample)) {
      if (features == 1) {
        *to = character;
      } else {
        to[character] = 1.0f;
      }
      to += features;
    }
    const std::span<const uint8_t> labels = data.labels(sample);
    step.labels.insert(step.labels.end(), labels.begin(), labels.end());
  }
  return step;
}

}  // namespace vaultrain
