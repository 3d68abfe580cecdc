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
  std::string data_set;        // "digits", "cifar", "text": from --data, or made without
  std::string loss;            // "softmax-cross-entropy", "mse"
  std::string optimiser;       // "sgd", "momentum", "nesterov", "adam"
  std::string initialisation;  // "he-normal"
  std::string schedule;        // "constant", "linear"
  double learning_rate;
  double learning_rate_end;  // linear: reached one step after the last
  double momentum;           // "momentum", "nesterov"
  double clip_value;         // 0: none
  double weight_decay;
  double beta1, beta2, epsilon;  // "adam"
  int64_t batch;                 // samples
  int64_t steps;                 // 0: given by epochs
  int64_t epochs;                // 0: given by steps; not both
  double input_mean;             // of pixel / 255
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

// ---- the optimiser
//
// What UP does to a parameter w, with g the gradient by w of the loss summed over the batch of B
// samples, each value brought into +-clip_value * B if clip_value is above 0, d = weight_decay * B
// for weights and 0 for biases, and s = -StepSize:
//
//   sgd       w += s * (g + d w)
//   momentum  v = momentum * v + g + d w;  w += s * v
//   nesterov  u = g + d w;  v = momentum * v + u;  w += s * (u + momentum * v)
//   adam      u = g + d w;  m = beta1 m + (1 - beta1) u;  q = beta2 q + (1 - beta2) u^2
//             w += s * m / (sqrt q + epsilon * B)
//
// Each takes w as it was before the step. v, m and q, one value for each of w, start at zero.

enum class Optimiser { kSgd, kMomentum, kNesterov, kAdam };

struct OptimiserConstants {
  Optimiser optimiser = Optimiser::kSgd;
  double decay = 0;  // d
  double momentum = 0;
  double beta1 = 0, beta2 = 0;
  double epsilon = 0;  // epsilon * B
  double clip = 0;     // clip_value * B; 0: none
};

// Of weights, or of biases.
OptimiserConstants OptimiserOf(const Recipe& recipe, bool of_bias);

// State tensors of each parameter: none; v; m and q.
int StateTensors(const Recipe& recipe);

// -s of a step, rounded once to float: learning rate / B, and of adam, with t = step + 1,
// learning rate * sqrt(1 - beta2^t) / (1 - beta1^t).
float StepSize(const Recipe& recipe, int64_t step, int64_t steps);

}  // namespace vaultrain

#endif  // VAULTRAIN_RECIPE_H_
