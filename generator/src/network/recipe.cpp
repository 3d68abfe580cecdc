// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/recipe.h"

#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <fstream>
#include <optional>
#include <sstream>

#include "vaultrain/error.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

// In the order of Optimiser.
constexpr std::array<std::string_view, 4> kOptimiserNames = {"sgd", "momentum", "nesterov", "adam"};

std::vector<RecipeKey> MakeKeys() {
  using enum RecipeKeyType;
  constexpr double kMaxSteps = 1e9;
  // 1 - beta keeps its digits in fp32.
  constexpr double kMaxDecayRate = 0.999999;
  return {
      {"data_set",
       kChoice,
       "digits",
       0,
       0,
       {"digits", "cifar", "text"},
       "digits: the IDX files in --data, or handwritten-like digits that we draw; cifar: CIFAR-10 "
       "in --data, or such digits in colour; text: characters of input.txt in --data, or of "
       "sentences that we write",
       &Recipe::data_set},
      {"loss",
       kChoice,
       "softmax-cross-entropy",
       0,
       0,
       {"softmax-cross-entropy", "mse"},
       "the mean over the batch of: the cross-entropy of the softmax of the outputs; the mean "
       "square "
       "of the outputs less the targets, which are those of the data or, of a class, 1 for it and "
       "0 "
       "for all others",
       &Recipe::loss},
      {"optimiser",
       kChoice,
       "sgd",
       0,
       0,
       {kOptimiserNames.begin(), kOptimiserNames.end()},
       "how a step changes the parameters, as below",
       &Recipe::optimiser},
      {"initialisation",
       kChoice,
       "he-normal",
       0,
       0,
       {"he-normal"},
       "starting weights where the ONNX file has none: normal, variance 2 / fan-in",
       &Recipe::initialisation},
      {"schedule",
       kChoice,
       "linear",
       0,
       0,
       {"constant", "linear"},
       "how the learning rate goes: constant, or linear down to learning_rate_end",
       &Recipe::schedule},
      {"learning_rate",
       kReal,
       "0.2",
       1e-9,
       100,
       {},
       "learning rate of the first step",
       &Recipe::learning_rate},
      {"learning_rate_end",
       kReal,
       "0.0",
       0,
       100,
       {},
       "learning rate that a linear schedule reaches after the last step",
       &Recipe::learning_rate_end},
      {"momentum",
       kReal,
       "0.9",
       0,
       kMaxDecayRate,
       {},
       "momentum, nesterov: what is left of the last step's velocity",
       &Recipe::momentum},
      {"clip_value",
       kReal,
       "0.0",
       0,
       1e6,
       {},
       "the largest magnitude of a value of the mean gradient, beyond which it is cut; 0: none",
       &Recipe::clip_value},
      {"weight_decay",
       kReal,
       "0.0",
       0,
       1,
       {},
       "times the weight, added to its mean gradient; biases do not decay",
       &Recipe::weight_decay},
      {"beta1",
       kReal,
       "0.9",
       0,
       kMaxDecayRate,
       {},
       "adam: what is left of the mean gradient",
       &Recipe::beta1},
      {"beta2",
       kReal,
       "0.999",
       0,
       kMaxDecayRate,
       {},
       "adam: what is left of the mean square gradient",
       &Recipe::beta2},
      {"epsilon",
       kReal,
       "1e-8",
       1e-12,
       1,
       {},
       "adam: added to the root of the mean square",
       &Recipe::epsilon},
      {"batch",
       kInteger,
       "32",
       1,
       static_cast<double>(kMaxBatch),
       {},
       "samples of a step",
       &Recipe::batch},
      {"steps",
       kInteger,
       "200",
       0,
       kMaxSteps,
       {},
       "steps of the training; 0: epochs count",
       &Recipe::steps},
      {"epochs",
       kInteger,
       "0",
       0,
       1e6,
       {},
       "passes over the training set; 0: steps count",
       &Recipe::epochs},
      {"input_mean",
       kReal,
       "0.1307",
       0,
       1,
       {},
       "mean of pixel / 255, taken off",
       &Recipe::input_mean},
      {"input_deviation",
       kReal,
       "0.3081",
       1e-3,
       1,
       {},
       "deviation of pixel / 255, divided by",
       &Recipe::input_deviation},
      {"seed", kInteger, "1", 0, 0x1p53, {}, "seed of weights and data order", &Recipe::seed},
  };
}

std::string AcceptedText(const RecipeKey& key) {
  switch (key.type) {
    case RecipeKeyType::kChoice:
      return fmt::format("{}", fmt::join(key.choices, ", "));
    case RecipeKeyType::kInteger:
      return fmt::format("integer {:.0f} to {:.0f}", key.min, key.max);
    case RecipeKeyType::kReal:
      break;
  }
  return fmt::format("number {} to {}", key.min, key.max);
}

const RecipeKey& FindKey(std::string_view name, std::string_view origin) {
  std::vector<std::string_view> names;
  for (const RecipeKey& key : RecipeKeys()) {
    if (key.name == name) return key;
    names.push_back(key.name);
  }
  RefuseInput("{}: unknown key {}; nearest key: {}", origin, Quote(name), NearestName(name, names));
}

[[noreturn]] void RefuseValue(const RecipeKey& key, std::string_view value,
                              std::string_view origin) {
  RefuseInput("{}: {} = {}; accepted: {}", origin, key.name, Quote(value), AcceptedText(key));
}

template <typename T>
std::optional<T> ParseNumber(std::string_view text) {
  T number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Sets a key from its text; origin names where the text stood.
void Set(Recipe& recipe, const RecipeKey& key, std::string_view text, std::string_view origin) {
  if (key.type == RecipeKeyType::kChoice) {
    if (std::find(key.choices.begin(), key.choices.end(), text) == key.choices.end()) {
      RefuseValue(key, text, origin);
    }
    recipe.*std::get<std::string Recipe::*>(key.field) = text;
    return;
  }
  if (key.type == RecipeKeyType::kReal) {
    std::optional<double> number = ParseNumber<double>(text);
    if (!number || !(*number >= key.min && *number <= key.max)) RefuseValue(key, text, origin);
    recipe.*std::get<double Recipe::*>(key.field) = *number;
    return;
  }
  std::optional<int64_t> number = ParseNumber<int64_t>(text);
  if (!number || static_cast<double>(*number) < key.min || static_cast<double>(*number) > key.max) {
    RefuseValue(key, text, origin);
  }
  if (auto* field = std::get_if<uint64_t Recipe::*>(&key.field)) {
    recipe.** field = static_cast<uint64_t>(*number);
  } else {
    recipe.*std::get<int64_t Recipe::*>(key.field) = *number;
  }
}

// The text of a TOML value, or nothing if its type does not suit the key.
std::optional<std::string> ValueText(const RecipeKey& key, const toml::node& node) {
  if (const auto* text = node.as_string(); text && key.type == RecipeKeyType::kChoice) {
    return text->get();
  }
  if (const auto* number = node.as_integer(); number && key.type != RecipeKeyType::kChoice) {
    return std::to_string(number->get());
  }
  if (const auto* number = node.as_floating_point(); number && key.type == RecipeKeyType::kReal) {
    return fmt::format("{}", number->get());
  }
  return std::nullopt;
}

std::string TypeText(const toml::node& node) {
  std::ostringstream stream;
  stream << node.type();
  return "a TOML " + stream.str();
}

// Steps or epochs: the one that is set clears the other.
void ClearOther(Recipe& recipe, std::string_view set) {
  if (set == "steps" && recipe.steps > 0) recipe.epochs = 0;
  if (set == "epochs" && recipe.epochs > 0) recipe.steps = 0;
}

void CheckRules(const Recipe& recipe, std::string_view origin) {
  if ((recipe.steps == 0) == (recipe.epochs == 0)) {
    RefuseInput("{}: steps = {} and epochs = {}; accepted: one of them above 0", origin,
                recipe.steps, recipe.epochs);
  }
}

}  // namespace

const std::vector<RecipeKey>& RecipeKeys() {
  static const std::vector<RecipeKey> keys = MakeKeys();
  return keys;
}

std::string RecipeReference() {
  std::string text = "| key | default | accepted | meaning |\n|---|---|---|---|\n";
  for (const RecipeKey& key : RecipeKeys()) {
    text += fmt::format("| `{}` | {} | {} | {} |\n", key.name, key.default_value, AcceptedText(key),
                        key.meaning);
  }
  return text;
}

Recipe DefaultRecipe() {
  Recipe recipe{};
  for (const RecipeKey& key : RecipeKeys()) Set(recipe, key, key.default_value, "default");
  return recipe;
}

Recipe ParseRecipe(std::string_view toml_text, std::string_view file_name) {
  toml::table table;
  try {
    table = toml::parse(toml_text, file_name);
  } catch (const toml::parse_error& error) {
    RefuseInput("{}:{}: not TOML: {}", file_name, error.source().begin.line, error.description());
  }
  Recipe recipe = DefaultRecipe();
  for (const auto& [name, node] : table) {
    std::string origin = fmt::format("{}:{}", file_name, node.source().begin.line);
    const RecipeKey& key = FindKey(name.str(), origin);
    std::optional<std::string> text = ValueText(key, node);
    if (!text) {
      RefuseInput("{}: {} is {}; accepted: {}", origin, key.name, TypeText(node),
                  AcceptedText(key));
    }
    Set(recipe, key, *text, origin);
  }
  if (!table.contains("steps")) ClearOther(recipe, "epochs");
  CheckRules(recipe, file_name);
  return recipe;
}

Recipe ReadRecipe(const std::filesystem::path& path) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream || std::filesystem::is_directory(path)) {
    RefuseInput("{}: cannot be read; accepted: a recipe in TOML", path.string());
  }
  std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  return ParseRecipe(text, path.string());
}

Recipe RecipeOf(const std::filesystem::path& onnx_file) {
  std::filesystem::path path = onnx_file;
  path.replace_extension(".train.toml");
  return std::filesystem::exists(path) ? ReadRecipe(path) : DefaultRecipe();
}

void SetRecipeKey(Recipe& recipe, std::string_view name, std::string_view value,
                  std::string_view origin) {
  Set(recipe, FindKey(name, origin), value, origin);
  ClearOther(recipe, name);
  CheckRules(recipe, origin);
}

int64_t StepCount(const Recipe& recipe, int64_t train_samples) {
  if (recipe.steps > 0) return recipe.steps;
  return (recipe.epochs * train_samples + recipe.batch - 1) / recipe.batch;
}

double LearningRate(const Recipe& recipe, int64_t step, int64_t steps) {
  if (recipe.schedule == "constant") return recipe.learning_rate;
  double done = static_cast<double>(step) / static_cast<double>(steps);
  return recipe.learning_rate + (recipe.learning_rate_end - recipe.learning_rate) * done;
}

OptimiserConstants OptimiserOf(const Recipe& recipe, bool of_bias) {
  const auto batch = static_cast<double>(recipe.batch);
  const auto* name = std::find(kOptimiserNames.begin(), kOptimiserNames.end(), recipe.optimiser);
  return {static_cast<Optimiser>(name - kOptimiserNames.begin()),
          of_bias ? 0.0 : recipe.weight_decay * batch,
          recipe.momentum,
          recipe.beta1,
          recipe.beta2,
          recipe.epsilon * batch,
          recipe.clip_value * batch};
}

int StateTensors(const Recipe& recipe) {
  switch (OptimiserOf(recipe, true).optimiser) {
    case Optimiser::kSgd:
      return 0;
    case Optimiser::kMomentum:
    case Optimiser::kNesterov:
      return 1;
    case Optimiser::kAdam:
      break;
  }
  return 2;
}

float StepSize(const Recipe& recipe, int64_t step, int64_t steps) {
  const double rate = LearningRate(recipe, step, steps);
  if (OptimiserOf(recipe, true).optimiser != Optimiser::kAdam) {
    return static_cast<float>(rate / static_cast<double>(recipe.batch));
  }
  const auto t = static_cast<double>(step + 1);
  return static_cast<float>(rate * std::sqrt(1 - std::pow(recipe.beta2, t)) /
                            (1 - std::pow(recipe.beta1, t)));
}

}  // namespace vaultrain
