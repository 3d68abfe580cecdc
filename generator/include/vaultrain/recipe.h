// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// How a network is trained: NAME.train.toml beside NAME.onnx, which holds what ONNX has no room
// for.
//
// One table (RecipeKeys) holds each key with its type, default, range and meaning; the parser, the
// flags that override keys, the messages and the reference are made from it.

#ifndef VAULTRAIN_RECIPE_H_
#define VAULTRAIN_RECIPE_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace vaultrain {

// The largest batch, in samples.
inline constexpr int64_t kMaxBatch = 65536;

struct Recipe {
  std::string data_set;        // "digits", "cifar": from --data, or drawn without
  std::string loss;            // "softmax-cross-entropy"
  std::string optimiser;       // "sgd"
  std::string initialisation;  // "he-normal"
  std::string schedule;        // "constant", "linear"
  double learning_rate;
  double learning_rate_end;  // linear: reached one step after the last
  int64_t batch;             // samples
  int64_t steps;             // 0: given by epochs
  int64_t epochs;            // 0: given by steps; not both
  double input_mean;         // of pixel / 255
  double input_deviation;
  uint64_t seed;
};

// ---- the table

enum class RecipeKeyType { kChoice, kInteger, kReal };

struct RecipeKey {
  std::string_view name;
  RecipeKeyType type;
  std::string_view default_value;  // as TOML shows it, choices without quotes
  double min, max;                 // numbers; inclusive
  std::vector<std::string_view> choices;
  std::string_view meaning;
  std::variant<std::string Recipe::*, int64_t Recipe::*, uint64_t Recipe::*, double Recipe::*>
      field;
};

const std::vector<RecipeKey>& RecipeKeys();

// The table as Markdown.
std::string RecipeReference();

// ---- reading

// Every key at its default.
Recipe DefaultRecipe();

// Throws Error(kUnusableInput) with FILE:LINE, key, rule and what is accepted; an unknown key gets
// the nearest known one.
Recipe ReadRecipe(const std::filesystem::path& path);
Recipe ParseRecipe(std::string_view toml_text, std::string_view file_name);

// The recipe beside a network, NAME.train.toml for NAME.onnx, or the defaults if there is none.
Recipe RecipeOf(const std::filesystem::path& onnx_file);

// Overrides one key from text, e.g. of a flag; origin ("--steps") heads the message. Setting steps
// clears epochs, and the other way round.
void SetRecipeKey(Recipe& recipe, std::string_view name, std::string_view value,
                  std::string_view origin);

// ---- what follows from it

// Steps of a whole training: of a number of epochs, the least that show every sample as often.
int64_t StepCount(const Recipe& recipe, int64_t train_samples);

// Of step 0 .. steps-1. Linear: learning_rate + (learning_rate_end - learning_rate) * step / steps.
double LearningRate(const Recipe& recipe, int64_t step, int64_t steps);

// What UP multiplies with: learning rate / batch, rounded once to float.
float StepSize(const Recipe& recipe, int64_t step, int64_t steps);

}  // namespace vaultrain

#endif  // VAULTRAIN_RECIPE_H_
