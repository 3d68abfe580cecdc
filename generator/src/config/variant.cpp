// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "vaultrain/variant.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <toml++/toml.h>
#include <algorithm>
#include <bit>
#include <charconv>
#include <fstream>
#include <set>
#include <sstream>

#include "vaultrain/error.h"
#include "vaultrain/text.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFormatNames[] = {"bf16", "fp32", "fx16", "fp16"};
constexpr int kFormatBits[] = {16, 32, 16, 16};
constexpr std::string_view kRoundingNames[] = {"nearest", "stochastic", "truncate"};

// The field of a Variant behind a key.
#define VT_INT(member) +[](Variant& v) -> int& { return v.member; }
#define VT_TEXT(member) +[](Variant& v) -> std::string& { return v.member; }
#define VT_FORMAT(member) +[](Variant& v) -> NumberFormat& { return v.member; }
#define VT_ROUNDING(member) +[](Variant& v) -> Rounding& { return v.member; }

std::vector<VariantKey> MakeKeys() {
  using enum KeyType;
  // clang-format off
  return {
      {"name", kText, {}, 0, 0, {}, "",
       "name of the variant; default: the file's stem", VT_TEXT(name)},
      {"operand_format", kChoice, {"bf16"}, 0, 0, {"bf16", "fp32", "fx16", "fp16"}, "",
       "number format of the operands of a product; sums are fp32", VT_FORMAT(operand_format)},
      {"fraction_bits", kInteger, {"0", "0", "12", "0"}, 0, 14, {}, "bits",
       "of a number in fx16, 16 bits of two's complement, those below the point",
       VT_INT(fraction_bits)},
      {"gradient_format", kChoice, {"operand"}, 0, 0, {"operand", "fx32"}, "",
       "number format of gradients where they are multiplied: as other operands, or fx32 with fx16, two "
       "operands a value and half the products a cycle", VT_TEXT(gradient_format)},
      {"rounding", kChoice, {"nearest"}, 0, 0, {"nearest", "stochastic", "truncate"}, "",
       "how results become operands of 16 bits: to nearest, at random in the ratio of the distances, "
       "towards zero", VT_ROUNDING(rounding)},
      {"vaults", kInteger, {"1"}, 1, 32, {}, "",
       "vaults, each with one node", VT_INT(vaults)},
      {"clock_ps", kInteger, {"1000"}, 100, 100000, {}, "ps",
       "period of the one clock", VT_INT(clock_ps)},

      {"array.rows", kInteger, {"1"}, 1, 4, {}, "",
       "dot units chained along K per column", VT_INT(array.rows)},
      {"array.cols", kInteger, {"4"}, 1, 16, {}, "",
       "columns: outputs N per cycle", VT_INT(array.cols)},
      {"array.lanes", kPowerOfTwo, {"16"}, 4, 32, {}, "",
       "products of one dot unit, which share one alignment", VT_INT(array.lanes)},
      {"array.align_bits", kInteger, {"24", "36", "36", "24"}, 16, 48, {}, "bits",
       "width to which the products of a dot unit are aligned; of fx16 it makes the bits of a sum", VT_INT(array.align_bits)},
      {"array.acc_depth", kPowerOfTwo, {"256"}, 32, 1024, {}, "entries",
       "fp32 accumulators per column, double-buffered in two halves", VT_INT(array.acc_depth)},

      {"scratchpad.kib", kPowerOfTwo, {"256"}, 32, 2048, {}, "KiB",
       "size of a node's scratchpad", VT_INT(scratchpad.kib)},
      {"scratchpad.banks", kPowerOfTwo, {"4"}, 2, 8, {}, "",
       "scratchpad banks, each read and written once a cycle", VT_INT(scratchpad.banks)},

      {"vector.softmax_classes", kInteger, {"256"}, 16, 1024, {}, "elements",
       "longest row that softmax and cross-entropy take", VT_INT(vector.softmax_classes)},

      {"lanes.functions", kPowerOfTwo, {"1"}, 1, 16, {}, "",
       "lanes whose 2^x, log2 x, 1/x or 1/sqrt x are made in one cycle", VT_INT(lanes.functions)},

      {"dram.timing", kText, {"hmc1"}, 0, 0, {}, "",
       "name of the DRAM timing set", VT_TEXT(dram.timing)},
      {"dram.data_bits", kPowerOfTwo, {"64"}, 32, 128, {}, "bits",
       "data of a vault per clock cycle", VT_INT(dram.data_bits)},
      {"dram.mib", kPowerOfTwo, {"128"}, 16, 1024, {}, "MiB",
       "capacity of a vault that is used", VT_INT(dram.mib)},
      {"dram.page", kChoice, {"open"}, 0, 0, {"open", "closed"}, "",
       "rows stay open until another is needed, or until no access waits for them",
       VT_TEXT(dram.page)},
      {"dram.map", kChoice, {"row_bank_col"}, 0, 0, {"row_bank_col", "row_col_bank"}, "",
       "parts of an access's address, from its highest bits on", VT_TEXT(dram.map)},
      {"dram.bank_rotate", kInteger, {"1"}, 0, 2, {}, "digits",
       "digits of the row that are added to the bank", VT_INT(dram.bank_rotate)},
      {"dram.read_queue", kPowerOfTwo, {"32"}, 8, 64, {}, "accesses",
       "reads that a vault controller has under way", VT_INT(dram.read_queue)},
      {"dram.read_window", kInteger, {"16"}, 4, 32, {}, "accesses",
       "of these, reads that wait for the pins, row hits first", VT_INT(dram.read_window)},
      {"dram.write_queue", kPowerOfTwo, {"32"}, 16, 128, {}, "accesses",
       "writes that a vault controller holds", VT_INT(dram.write_queue)},
      {"dram.write_window", kInteger, {"8"}, 4, 32, {}, "accesses",
       "of these, writes that wait for the pins, row hits first", VT_INT(dram.write_window)},
      {"dram.ecc", kChoice, {"off"}, 0, 0, {"off", "on"}, "",
       "8 check bits for every 64 of data: one wrong bit is corrected, two are reported",
       VT_TEXT(dram.ecc)},

      {"mesh.x", kInteger, {"1"}, 1, 8, {}, "",
       "columns of nodes in the mesh", VT_INT(mesh.x)},
      {"mesh.y", kInteger, {"1"}, 1, 4, {}, "",
       "rows of nodes in the mesh", VT_INT(mesh.y)},
      {"mesh.link_bits", kPowerOfTwo, {"128"}, 128, 512, {}, "bits",
       "payload that a link of the mesh carries per clock cycle", VT_INT(mesh.link_bits)},

      {"sequencer.queue", kPowerOfTwo, {"16"}, 4, 32, {}, "descriptors",
       "descriptors that wait in front of each engine", VT_INT(sequencer.queue)},

      {"host.id_bits", kInteger, {"4"}, 1, 8, {}, "bits",
       "identifiers of the AXI4 memory port", VT_INT(host.id_bits)},
  };
  // clang-format on
}

#undef VT_INT
#undef VT_TEXT
#undef VT_FORMAT
#undef VT_ROUNDING

// One value on its way into a variant: where it came from, for messages, and what it says.
struct Setting {
  std::string origin;  // "file:line: " or "--set "
  std::string key;
  std::variant<int64_t, std::string> value;
  unsigned line = 0;
};

bool IsName(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text[0] >= 'a' && text[0] <= 'z' &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
         });
}

std::string Shown(const Setting& setting) {
  return std::holds_alternative<int64_t>(setting.value)
             ? fmt::format("{}", std::get<int64_t>(setting.value))
             : Quote(std::get<std::string>(setting.value));
}

[[noreturn]] void RefuseValue(const Setting& setting, const VariantKey& key) {
  RefuseInput("{}{} = {} is not accepted; accepted: {}", setting.origin, setting.key,
              Shown(setting), AcceptedText(key));
}

void Apply(const Setting& setting, const VariantKey& key, Variant& variant) {
  if (auto field = std::get_if<int& (*)(Variant&)>(&key.field)) {
    const int64_t* value = std::get_if<int64_t>(&setting.value);
    if (!value || *value < key.min || *value > key.max ||
        (key.type == KeyType::kPowerOfTwo && !std::has_single_bit(static_cast<uint64_t>(*value)))) {
      RefuseValue(setting, key);
    }
    (*field)(variant) = static_cast<int>(*value);
    return;
  }
  const std::string* value = std::get_if<std::string>(&setting.value);
  if (!value) RefuseValue(setting, key);
  if (auto field = std::get_if<NumberFormat& (*)(Variant&)>(&key.field)) {
    auto choice = std::find(key.choices.begin(), key.choices.end(), *value);
    if (choice == key.choices.end()) RefuseValue(setting, key);
    (*field)(variant) = static_cast<NumberFormat>(choice - key.choices.begin());
    return;
  }
  if (auto field = std::get_if<Rounding& (*)(Variant&)>(&key.field)) {
    auto choice = std::find(key.choices.begin(), key.choices.end(), *value);
    if (choice == key.choices.end()) RefuseValue(setting, key);
    (*field)(variant) = static_cast<Rounding>(choice - key.choices.begin());
    return;
  }
  const bool known =
      key.type == KeyType::kChoice
          ? std::find(key.choices.begin(), key.choices.end(), *value) != key.choices.end()
          : IsName(*value);
  if (!known) RefuseValue(setting, key);
  std::get<std::string& (*)(Variant&)>(key.field)(variant) = *value;
}

const VariantKey& FindKey(const Setting& setting) {
  for (const VariantKey& key : VariantKeys()) {
    if (key.key == setting.key) return key;
  }
  RefuseInput("{}unknown key {}; nearest key: {} (all: vaultrain list --keys)", setting.origin,
              Quote(setting.key), NearestKey(setting.key));
}

void Collect(const toml::table& table, const std::string& prefix, std::string_view file,
             std::vector<Setting>& settings) {
  for (const auto& [name, node] : table) {
    std::string key = prefix + std::string(name.str());
    std::string origin = fmt::format("{}:{}: ", file, node.source().begin.line);
    if (const toml::table* inner = node.as_table()) {
      // A misspelt section is refused by its first key, an empty one by its own name.
      bool known = std::any_of(
          VariantKeys().begin(), VariantKeys().end(),
          [&](const VariantKey& k) { return k.key.substr(0, key.size() + 1) == key + "."; });
      if (inner->empty() && !known) FindKey({origin, key, ""});
      Collect(*inner, key + ".", file, settings);
    } else if (const auto* integer = node.as_integer()) {
      settings.push_back({origin, key, integer->get(), node.source().begin.line});
    } else if (const auto* text = node.as_string()) {
      settings.push_back({origin, key, text->get(), node.source().begin.line});
    } else {
      Setting setting{origin, key, ""};
      RefuseInput("{}{} is neither an integer nor a text; accepted: {}", origin, key,
                  AcceptedText(FindKey(setting)));
    }
  }
}

// Settings in the order of their lines, so that the first wrong line is the one that is named.
std::vector<Setting> ReadToml(std::string_view text, std::string_view file) {
  toml::table table;
  try {
    table = toml::parse(text, file);
  } catch (const toml::parse_error& error) {
    std::string what(error.description());
    std::replace(what.begin(), what.end(), '\n', ' ');
    RefuseInput("{}:{}: not TOML: {}", file, error.source().begin.line, what);
  }
  std::vector<Setting> settings;
  Collect(table, "", file, settings);
  std::stable_sort(settings.begin(), settings.end(),
                   [](const Setting& a, const Setting& b) { return a.line < b.line; });
  return settings;
}

// "key=value" of --set. A value that is an integer is one, anything else is text, with or without
// quotes.
Setting ReadOverride(const std::string& text) {
  size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    RefuseInput("--set {}: accepted: key=value, such as array.cols=8", text);
  }
  Setting setting{"--set ", text.substr(0, equals), ""};
  std::string value = text.substr(equals + 1);
  int64_t integer = 0;
  auto [end, fault] = std::from_chars(value.data(), value.data() + value.size(), integer);
  if (fault == std::errc() && end == value.data() + value.size()) {
    setting.value = integer;
    return setting;
  }
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  setting.value = value;
  return setting;
}

std::vector<VariantRule> MakeRules() {
  return {
      {"word_bits", "array.rows * array.lanes * operand bits is 128, 256, 512 or 1024",
       [](const Variant& v) -> std::string {
         int bits = v.WordBits();
         if (bits >= 128 && bits <= 1024 && std::has_single_bit(static_cast<unsigned>(bits)))
           return "";
         return fmt::format(
             "array.rows {} * array.lanes {} * {} operand bits = {}; accepted: 128, 256, 512 or "
             "1024",
             v.array.rows, v.array.lanes, v.OperandBits(), bits);
       }},
      {"word_of_output_rows", "array.cols fp32 results divide a word",
       [](const Variant& v) -> std::string {
         int bits = v.array.cols * 32;
         if (v.WordBits() % bits == 0) return "";
         return fmt::format(
             "array.cols {} * 32 bits of a result = {} does not divide a word of {} bits; "
             "accepted: "
             "array.cols that is a power of two up to {}",
             v.array.cols, bits, v.WordBits(), v.WordBits() / 32);
       }},
      {"lane_functions", "lanes.functions is no more than array.cols",
       [](const Variant& v) -> std::string {
         if (v.lanes.functions <= v.array.cols) return "";
         return fmt::format(
             "lanes.functions {} of array.cols {}; accepted: a power of two up to {}",
             v.lanes.functions, v.array.cols, v.array.cols);
       }},
      {"fraction_bits", "fraction_bits is 1 to 14 with fx16, and 0 with other formats",
       [](const Variant& v) -> std::string {
         const bool fixed = v.operand_format == NumberFormat::kFx16;
         if ((v.fraction_bits != 0) == fixed) return "";
         return fmt::format("fraction_bits {} with operand_format {}; accepted: {}",
                            v.fraction_bits, FormatName(v.operand_format), fixed ? "1 to 14" : "0");
       }},
      {"gradient_format", "gradients of fx32 go with operands of fx16",
       [](const Variant& v) -> std::string {
         if (!v.HasWideGradients() || v.operand_format == NumberFormat::kFx16) return "";
         return fmt::format("gradient_format fx32 with operand_format {}; accepted: operand",
                            FormatName(v.operand_format));
       }},
      {"rounding", "fp32 operands are not rounded: rounding is nearest",
       [](const Variant& v) -> std::string {
         if (v.operand_format != NumberFormat::kFp32 || v.rounding == Rounding::kNearest) return "";
         return fmt::format("rounding {} with operand_format fp32; accepted: nearest",
                            RoundingName(v.rounding));
       }},
      {"align_bits",
       "array.align_bits is the fraction of an operand and 2 bits, or more; with fx16 31 or more, "
       "39 with gradients of fx32",
       [](const Variant& v) -> std::string {
         if (v.operand_format == NumberFormat::kFx16) {
           const int least = 31 + (v.HasWideGradients() ? kGuardBits : 0);
           if (v.array.align_bits >= least) return "";
           return fmt::format("array.align_bits {} with products of {} bits; accepted: {} or more",
                              v.array.align_bits, least, least);
         }
         const bool fp16 = v.operand_format == NumberFormat::kFp16;
         int fraction = v.OperandBits() == 32 ? 23 : fp16 ? 10 : 7;
         if (v.array.align_bits >= fraction + 2) return "";
         return fmt::format("array.align_bits {} with fractions of {} bits; accepted: {} or more",
                            v.array.align_bits, fraction, fraction + 2);
       }},
      {"sum_bits", "array.align_bits + log2(array.lanes) + 1, the bits of a sum, is 29 to 48",
       [](const Variant& v) -> std::string {
         int lanes = std::bit_width(static_cast<unsigned>(v.array.lanes)) - 1;
         int bits = v.array.align_bits + lanes + 1;
         if (bits >= 29 && bits <= 48) return "";
         return fmt::format(
             "array.align_bits {} + log2(array.lanes {}) + 1 = {}; accepted: 29 to 48, "
             "array.align_bits {} to {}",
             v.array.align_bits, v.array.lanes, bits, 28 - lanes, 47 - lanes);
       }},
      {"scratchpad_words", "a scratchpad has at most 65536 words, which COMPUTE can address",
       [](const Variant& v) -> std::string {
         const int words = v.scratchpad.kib * 1024 / (v.WordBits() / 8);
         if (words <= 65536) return "";
         return fmt::format("{} words of {} bits in scratchpad.kib {}; accepted: up to {} KiB",
                            words, v.WordBits(), v.scratchpad.kib, v.WordBits() * 8);
       }},
      {"bank_words", "a scratchpad bank holds at least 64 words",
       [](const Variant& v) -> std::string {
         if (v.BankWords() >= 64) return "";
         return fmt::format(
             "scratchpad.kib {} in {} banks gives {} words of {} bits a bank; accepted: at least "
             "64 words, scratchpad.kib >= {}",
             v.scratchpad.kib, v.scratchpad.banks, v.BankWords(), v.WordBits(),
             64 * v.scratchpad.banks * v.WordBits() / 8 / 1024);
       }},
      {"mesh_shape", "mesh.x * mesh.y is vaults",
       [](const Variant& v) -> std::string {
         if (v.mesh.x * v.mesh.y == v.vaults) return "";
         return fmt::format("mesh.x {} * mesh.y {} with vaults {}; accepted: a product of {}",
                            v.mesh.x, v.mesh.y, v.vaults, v.vaults);
       }},
      {"link_bits", "a word of the scratchpad holds whole payloads of a link",
       [](const Variant& v) -> std::string {
         if (v.mesh.link_bits <= v.WordBits()) return "";
         return fmt::format("mesh.link_bits {} with words of {} bits; accepted: up to {}",
                            v.mesh.link_bits, v.WordBits(), v.WordBits());
       }},
      {"dram_windows", "dram.read_window and dram.write_window are no more than their queues",
       [](const Variant& v) -> std::string {
         const Variant::Dram& d = v.dram;
         if (d.read_window <= d.read_queue && d.write_window <= d.write_queue) return "";
         return fmt::format(
             "dram.read_window {} of dram.read_queue {}, dram.write_window {} of dram.write_queue "
             "{}; accepted: no window above its queue",
             d.read_window, d.read_queue, d.write_window, d.write_queue);
       }},
      {"ecc_words", "dram.data_bits is 64 or more if dram.ecc is on",
       [](const Variant& v) -> std::string {
         if (v.dram.ecc == "off" || v.dram.data_bits >= 64) return "";
         return fmt::format("dram.ecc on with dram.data_bits {}; accepted: 64 or more",
                            v.dram.data_bits);
       }},
      {"dram_timing", "the set of dram.timing can serve clock_ps and dram.data_bits", nullptr},
      {"vault_access",
       "an access of the vault, the beats of dram.timing times dram.data_bits, has 64 bytes",
       nullptr},
      {"dram_capacity", "dram.mib is no more than the dies of dram.timing hold", nullptr},
  };
}

}  // namespace

std::string_view FormatName(NumberFormat format) { return kFormatNames[static_cast<int>(format)]; }

std::string_view RoundingName(Rounding rounding) {
  return kRoundingNames[static_cast<int>(rounding)];
}

int FormatBits(NumberFormat format) { return kFormatBits[static_cast<int>(format)]; }

int Variant::AddressBits() const {
  return std::bit_width(static_cast<uint64_t>(ModuleBytes() - 1));
}

const std::vector<VariantKey>& VariantKeys() {
  static const std::vector<VariantKey> keys = MakeKeys();
  return keys;
}

const std::vector<VariantRule>& VariantRules() {
  static const std::vector<VariantRule> rules = MakeRules();
  return rules;
}

std::string AcceptedText(const VariantKey& key) {
  switch (key.type) {
    case KeyType::kText:
      return "text of a-z, 0-9, _ and - that begins with a letter";
    case KeyType::kChoice:
      return fmt::format("one of {}", fmt::join(key.choices, ", "));
    case KeyType::kInteger:
      return fmt::format("integer {}..{}", key.min, key.max);
    case KeyType::kPowerOfTwo:
      return fmt::format("power of two {}..{}", key.min, key.max);
  }
  return "";
}

std::string DefaultText(const VariantKey& key) {
  if (key.defaults.size() <= 1) return key.defaults.empty() ? "" : std::string(key.defaults[0]);
  std::string text;
  for (size_t i = 0; i < key.defaults.size(); ++i) {
    text += fmt::format("{}{} ({})", i ? ", " : "", key.defaults[i], kFormatNames[i]);
  }
  return text;
}

std::string ValueText(const VariantKey& key, const Variant& variant) {
  Variant copy = variant;
  if (auto field = std::get_if<int& (*)(Variant&)>(&key.field)) {
    return fmt::format("{}", (*field)(copy));
  }
  if (auto field = std::get_if<NumberFormat& (*)(Variant&)>(&key.field)) {
    return std::string(FormatName((*field)(copy)));
  }
  if (auto field = std::get_if<Rounding& (*)(Variant&)>(&key.field)) {
    return std::string(RoundingName((*field)(copy)));
  }
  return std::get<std::string& (*)(Variant&)>(key.field)(copy);
}

std::string_view NearestKey(std::string_view unknown) {
  // A bare last part ("cols") counts as the whole key.
  bool bare = unknown.find('.') == std::string_view::npos;
  std::vector<std::string_view> names;
  std::vector<std::string_view> keys;
  for (const VariantKey& key : VariantKeys()) {
    names.push_back(key.key);
    keys.push_back(key.key);
    if (!bare) continue;
    names.push_back(key.key.substr(key.key.rfind('.') + 1));
    keys.push_back(key.key);
  }
  std::string_view nearest = NearestName(unknown, names);
  return keys[static_cast<size_t>(std::find(names.begin(), names.end(), nearest) - names.begin())];
}

void CheckVariantRules(const Variant& variant, std::string_view origin) {
  for (const VariantRule& rule : VariantRules()) {
    std::string broken = rule.broken ? rule.broken(variant) : "";
    if (!broken.empty()) RefuseInput("{}: breaks rule {}: {}", origin, rule.name, broken);
  }
}

Variant ParseVariant(std::string_view toml_text, std::string_view file_name,
                     const std::vector<std::string>& overrides) {
  std::vector<Setting> settings = ReadToml(toml_text, file_name);
  for (const std::string& text : overrides) settings.push_back(ReadOverride(text));

  // A stem that is no name (such as "My Variant") is no default either.
  std::string stem = fs::path(file_name).stem().string();
  Variant variant{};
  variant.name = IsName(stem) ? stem : "unnamed";
  std::set<std::string_view> given;
  for (const Setting& setting : settings) {
    const VariantKey& key = FindKey(setting);
    Apply(setting, key, variant);
    given.insert(key.key);
  }
  // operand_format stands before every key whose default follows it.
  for (const VariantKey& key : VariantKeys()) {
    if (given.count(key.key) || key.defaults.empty()) continue;
    size_t which = key.defaults.size() > 1 ? static_cast<size_t>(variant.operand_format) : 0;
    std::string text(key.defaults[which]);
    Setting setting{"default ", std::string(key.key), text};
    if (std::holds_alternative<int& (*)(Variant&)>(key.field)) setting.value = std::stoll(text);
    Apply(setting, key, variant);
  }
  CheckVariantRules(variant, file_name);
  return variant;
}

Variant LoadVariant(std::string_view name_or_path, const std::vector<std::string>& overrides,
                    const std::vector<fs::path>& search_dirs) {
  std::string name(name_or_path);
  bool is_path = name.find('/') != std::string::npos || fs::path(name).extension() == ".toml";
  fs::path file = name;
  if (!is_path) {
    file.clear();
    for (const fs::path& dir : search_dirs) {
      if (IsName(name) && fs::exists(dir / (name + ".toml"))) {
        file = dir / (name + ".toml");
        break;
      }
    }
    if (file.empty()) {
      RefuseInput("no variant {}; accepted: a TOML file or one of {}", Quote(name),
                  fmt::join(ListVariants(search_dirs), ", "));
    }
  }
  std::error_code fault;
  std::ifstream in(file, std::ios::binary);
  if (!fs::is_regular_file(file, fault) || !in) {
    RefuseInput("{}: cannot read this variant file; accepted: a TOML file or one of {}",
                file.string(), fmt::join(ListVariants(search_dirs), ", "));
  }
  std::ostringstream text;
  text << in.rdbuf();
  return ParseVariant(text.str(), file.string(), overrides);
}

void CheckOverride(const std::string& override) {
  const Setting setting = ReadOverride(override);
  Variant variant{};
  Apply(setting, FindKey(setting), variant);
}

std::vector<std::string> ListVariants(const std::vector<fs::path>& search_dirs) {
  std::set<std::string> names;
  for (const fs::path& dir : search_dirs) {
    std::error_code fault;
    for (const fs::directory_entry& entry : fs::directory_iterator(dir, fault)) {
      if (entry.path().extension() == ".toml") names.insert(entry.path().stem().string());
    }
  }
  return {names.begin(), names.end()};
}

std::string ResolvedToml(const Variant& variant) {
  std::string text;
  std::string_view section;
  for (const VariantKey& key : VariantKeys()) {
    size_t dot = key.key.find('.');
    std::string_view here = dot == std::string_view::npos ? "" : key.key.substr(0, dot);
    if (here != section) {
      text += fmt::format("\n[{}]\n", here);
      section = here;
    }
    std::string_view last = dot == std::string_view::npos ? key.key : key.key.substr(dot + 1);
    bool bare = std::holds_alternative<int& (*)(Variant&)>(key.field);
    std::string value = ValueText(key, variant);
    text +=
        bare ? fmt::format("{} = {}\n", last, value) : fmt::format("{} = \"{}\"\n", last, value);
  }
  return text;
}

Digest VariantDigest(const Variant& variant) { return Sha256(ResolvedToml(variant)); }

std::string VariantReference() {
  std::string text = "| key | accepted | default | unit | meaning |\n|---|---|---|---|---|\n";
  for (const VariantKey& key : VariantKeys()) {
    text += fmt::format("| `{}` | {} | {} | {} | {} |\n", key.key, AcceptedText(key),
                        DefaultText(key), key.unit, key.meaning);
  }
  text += "\n| rule | meaning |\n|---|---|\n";
  for (const VariantRule& rule : VariantRules()) {
    text += fmt::format("| `{}` | {} |\n", rule.name, rule.meaning);
  }
  return text;
}

}  // namespace vaultrain
