// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "liberty.h"

#include <fnmatch.h>
#include <zlib.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>

#include "vaultrain/error.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;

// Plain text, whether or not the file is compressed.
std::string ReadAny(const fs::path& path) {
  if (!fs::is_regular_file(path)) {
    RefuseInput("{}: no such file; accepted: a Liberty file, plain or gzip", path.string());
  }
  gzFile file = gzopen(path.c_str(), "rb");
  if (!file)
    RefuseInput("{}: cannot be read; accepted: a Liberty file, plain or gzip", path.string());
  std::string text;
  std::vector<char> buffer(1 << 18);
  int count = 0;
  while ((count = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()))) > 0) {
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  bool torn = count < 0 || !gzeof(file);
  int fault = 0;
  gzerror(file, &fault);
  gzclose(file);
  if (torn || fault == Z_BUF_ERROR || fault == Z_DATA_ERROR) {
    RefuseInput("{}: damaged gzip data after {} bytes; accepted: a Liberty file, plain or gzip",
                path.string(), text.size());
  }
  return text;
}

// Current-source and noise models, which no tool of the flow reads.
bool IsUnused(std::string_view name) {
  return name.starts_with("output_current") || name.starts_with("ccs") ||
         name.starts_with("receiver_capacitance") || name.starts_with("compact") ||
         name.starts_with("normalized_driver_waveform") || name.starts_with("leakage_current") ||
         name.starts_with("dc_current") || name.starts_with("dynamic_current") ||
         name.starts_with("input_voltage") || name.starts_with("output_voltage") ||
         name.starts_with("ocv_") || name.starts_with("intrinsic_parasitic") ||
         name.starts_with("test_cell");
}

class Parser {
 public:
  Parser(const std::string& file, std::string_view text) : file_(file), text_(text) {}

  LibertyGroup Library() {
    Skip();
    if (Done()) Fail("is empty", "library (name) { ... }");
    std::string name = Word();
    if (name != "library") Fail(fmt::format("begins with '{}'", name), "library (name) { ... }");
    LibertyGroup group;
    group.name = name;
    group.line = line_;
    Expect('(');
    group.args = Split(Arguments());
    if (group.args.empty()) Fail("gives the library no name", "library (name) { ... }");
    Expect('{');
    Body(group, true);
    Skip();
    if (!Done()) Fail("goes on after the end of the library", "one library in a file");
    return group;
  }

 private:
  [[noreturn]] void Fail(const std::string& what, std::string_view accepted) const {
    RefuseInput("{}:{}: {}; accepted: {}", file_, line_, what, accepted);
  }

  bool Done() const { return at_ >= text_.size(); }

  // Blanks, comments and continued lines.
  void Skip() {
    while (!Done()) {
      char c = text_[at_];
      if (c == '\n') {
        ++line_;
        ++at_;
      } else if (std::isspace(static_cast<unsigned char>(c)) || c == '\\') {
        ++at_;
      } else if (text_.substr(at_, 2) == "/*") {
        size_t end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) Fail("comment without end", "*/");
        line_ += static_cast<int>(std::count(text_.begin() + static_cast<long>(at_),
                                             text_.begin() + static_cast<long>(end), '\n'));
        at_ = end + 2;
      } else if (text_.substr(at_, 2) == "//") {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else {
        break;
      }
    }
  }

  void Expect(char wanted) {
    Skip();
    if (Done()) Fail("the file ends too early", fmt::format("'{}'", wanted));
    if (text_[at_] != wanted)
      Fail(fmt::format("found '{}'", text_[at_]), fmt::format("'{}'", wanted));
    ++at_;
  }

  std::string Word() {
    Skip();
    size_t start = at_;
    while (!Done() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_' ||
                       text_[at_] == '.' || text_[at_] == '[' || text_[at_] == ']')) {
      ++at_;
    }
    if (at_ == start) {
      if (Done()) Fail("the file ends inside a group", "'}'");
      Fail(fmt::format("found '{}'", text_[at_]), "a group, an attribute or '}'");
    }
    return std::string(text_.substr(start, at_ - start));
  }

  // The raw text up to the closing parenthesis, which is taken.
  std::string Arguments() {
    std::string raw;
    bool quoted = false;
    int depth = 1;
    int opened = line_;
    for (; !Done(); ++at_) {
      char c = text_[at_];
      if (c == '\n') ++line_;
      if (c == '"') quoted = !quoted;
      if (!quoted && c == '(') ++depth;
      if (!quoted && c == ')' && --depth == 0) {
        ++at_;
        return raw;
      }
      if (c == '\\' || c == '\n' || c == '\r') {
        raw += ' ';
      } else {
        raw += c;
      }
    }
    line_ = opened;
    Fail("argument list without end", "')'");
  }

  static std::string Trim(std::string_view text) {
    size_t first = text.find_first_not_of(" \t\r\n\"");
    if (first == std::string_view::npos) return "";
    size_t last = text.find_last_not_of(" \t\r\n\"");
    return std::string(text.substr(first, last - first + 1));
  }

  static std::vector<std::string> Split(const std::string& raw) {
    std::vector<std::string> parts;
    std::string part;
    bool quoted = false;
    for (char c : raw) {
      if (c == '"') quoted = !quoted;
      if (c == ',' && !quoted) {
        parts.push_back(Trim(part));
        part.clear();
      } else {
        part += c;
      }
    }
    if (!Trim(part).empty() || !parts.empty()) parts.push_back(Trim(part));
    return parts;
  }

  // The value of a simple attribute, to ';' or the end of the line.
  std::string Value() {
    while (!Done() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    size_t start = at_;
    bool quoted = false;
    int opened = line_;
    for (; !Done(); ++at_) {
      char c = text_[at_];
      if (c == '"') quoted = !quoted;
      if (c == '\n') {
        if (!quoted) break;
        ++line_;
      }
      if (!quoted && (c == ';' || c == '}')) break;
    }
    if (quoted) {
      line_ = opened;
      Fail("text without end", "'\"'");
    }
    std::string_view value = text_.substr(start, at_ - start);
    if (size_t comment = value.find("/*"); comment != std::string_view::npos) {
      at_ = start + comment;
      value = value.substr(0, comment);
    }
    return Trim(value);
  }

  void Body(LibertyGroup& group, bool keep) {
    int opened = group.line;
    while (true) {
      Skip();
      if (Done()) {
        Fail(fmt::format("the file ends inside {} ({}) of line {}", group.name,
                         group.args.empty() ? "" : group.args.front(), opened),
             "'}'");
      }
      if (text_[at_] == '}') {
        ++at_;
        Skip();
        if (!Done() && text_[at_] == ';') ++at_;
        return;
      }
      if (text_[at_] == ';') {
        ++at_;
        continue;
      }
      int line = line_;
      std::string name = Word();
      Skip();
      if (Done()) continue;
      if (text_[at_] == ':') {
        ++at_;
        std::string value = Value();
        if (value.empty() && group.name == "cell" && name == "area") {
          Fail("area has no value", "area : number;");
        }
        if (keep) group.attributes.emplace_back(name, value);
        continue;
      }
      if (text_[at_] != '(') {
        Fail(fmt::format("'{}' is followed by '{}'", name, text_[at_]), "':' or '('");
      }
      ++at_;
      std::string raw = Arguments();
      Skip();
      if (!Done() && text_[at_] == '{') {
        ++at_;
        LibertyGroup child;
        child.name = name;
        child.line = line;
        child.args = Split(raw);
        bool kept = keep && !IsUnused(name);
        Body(child, kept);
        if (kept) group.groups.push_back(std::move(child));
      } else if (keep) {
        group.complex.emplace_back(name, raw);
      }
    }
  }

  const std::string file_;
  std::string_view text_;
  size_t at_ = 0;
  int line_ = 1;
};

// ---- what a cell computes

// The truth table of a Liberty function over at most six inputs, bit i for the input pattern i.
class FunctionTable {
 public:
  FunctionTable(std::string_view text, const std::vector<std::string>& inputs)
      : text_(text), inputs_(inputs) {}

  std::optional<uint64_t> Table() {
    uint64_t value = Or();
    Skip();
    if (failed_ || at_ < text_.size()) return std::nullopt;
    return value & Mask();
  }

 private:
  uint64_t Mask() const {
    return inputs_.size() >= 6 ? ~uint64_t{0} : (uint64_t{1} << (1u << inputs_.size())) - 1;
  }

  void Skip() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) ++at_;
  }

  bool Take(std::string_view symbols) {
    Skip();
    if (at_ < text_.size() && symbols.find(text_[at_]) != std::string_view::npos) {
      ++at_;
      return true;
    }
    return false;
  }

  uint64_t Or() {
    uint64_t value = And();
    while (Take("|+")) value |= And();
    return value;
  }

  uint64_t And() {
    uint64_t value = Xor();
    while (true) {
      Skip();
      if (Take("&*")) {
        value &= Xor();
      } else if (at_ < text_.size() && text_[at_] != ')' && text_[at_] != '|' &&
                 text_[at_] != '+') {
        value &= Xor();  // two terms side by side
        if (failed_) return 0;
      } else {
        return value;
      }
    }
  }

  uint64_t Xor() {
    uint64_t value = Factor();
    while (Take("^")) value ^= Factor();
    return value;
  }

  uint64_t Factor() {
    if (Take("!")) return ~Factor();
    uint64_t value = 0;
    if (Take("(")) {
      value = Or();
      if (!Take(")")) failed_ = true;
    } else {
      size_t start = at_;
      while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) ||
                                    text_[at_] == '_' || text_[at_] == '[' || text_[at_] == ']')) {
        ++at_;
      }
      std::string_view word = text_.substr(start, at_ - start);
      auto found = std::find(inputs_.begin(), inputs_.end(), word);
      if (found != inputs_.end()) {
        size_t index = static_cast<size_t>(found - inputs_.begin());
        for (unsigned pattern = 0; pattern < 64; ++pattern) {
          if (pattern >> index & 1u) value |= uint64_t{1} << pattern;
        }
      } else if (word == "1") {
        value = ~uint64_t{0};
      } else if (word != "0") {
        failed_ = true;
        at_ = text_.size();
      }
    }
    while (Take("'")) value = ~value;
    return value;
  }

  std::string_view text_;
  const std::vector<std::string>& inputs_;
  size_t at_ = 0;
  bool failed_ = false;
};

struct CellLogic {
  std::vector<std::string> inputs;
  std::vector<std::pair<std::string, uint64_t>> outputs;
};

bool IsTrue(std::string_view value) { return value == "true" || value == "TRUE" || value == "1"; }

bool IsUsable(const LibertyGroup& cell) { return !IsTrue(cell.Get("dont_use")); }

// Nothing for a sequential cell, for more than six inputs, or for an output without function.
std::optional<CellLogic> LogicOf(const LibertyGroup& cell) {
  CellLogic logic;
  for (const LibertyGroup& group : cell.groups) {
    if (group.name == "ff" || group.name == "latch" || group.name == "statetable" ||
        group.name == "ff_bank" || group.name == "latch_bank") {
      return std::nullopt;
    }
    if (group.name == "pin" && group.Get("direction") == "input") {
      logic.inputs.insert(logic.inputs.end(), group.args.begin(), group.args.end());
    }
  }
  if (logic.inputs.size() > 6) return std::nullopt;
  for (const LibertyGroup& group : cell.groups) {
    if (group.name != "pin" || group.Get("direction") != "output") continue;
    if (group.Get("function").empty() || !group.Get("three_state").empty()) return std::nullopt;
    auto table = FunctionTable(group.Get("function"), logic.inputs).Table();
    if (!table) return std::nullopt;
    logic.outputs.emplace_back(group.args.front(), *table);
  }
  return logic;
}

// The smallest usable cell for which `matches` holds; among equals the first in the file.
template <typename Matches>
const LibertyGroup* Smallest(const LibertyGroup& root, Matches matches) {
  const LibertyGroup* best = nullptr;
  for (const LibertyGroup& cell : root.groups) {
    if (cell.name != "cell" || !IsUsable(cell) || cell.Number("area") <= 0) continue;
    if (best && best->Number("area") <= cell.Number("area")) continue;
    if (matches(cell)) best = &cell;
  }
  return best;
}

// The smallest cell with one output that computes the table of its inputs.
const LibertyGroup* SmallestGate(const LibertyGroup& root, size_t inputs, uint64_t table) {
  return Smallest(root, [&](const LibertyGroup& cell) {
    auto logic = LogicOf(cell);
    return logic && logic->inputs.size() == inputs && logic->outputs.size() == 1 &&
           logic->outputs.front().second == table;
  });
}

constexpr uint64_t kNot1 = 0x1;
constexpr uint64_t kNand2 = 0x7;
constexpr uint64_t kXor2 = 0x6;
constexpr uint64_t kXor3 = 0x96;
constexpr uint64_t kMajority3 = 0xe8;

void WriteGroup(const LibertyGroup& group, std::string& out, int depth) {
  std::string indent(static_cast<size_t>(depth) * 2, ' ');
  out += indent + group.name + " (";
  for (size_t i = 0; i < group.args.size(); ++i) out += (i ? ", \"" : "\"") + group.args[i] + "\"";
  out += ") {\n";
  for (const auto& [name, raw] : group.complex) out += indent + "  " + name + " (" + raw + ");\n";
  for (const auto& [name, value] : group.attributes) {
    bool bare = !value.empty() && std::all_of(value.begin(), value.end(), [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '.' || c == '-' ||
             c == '+';
    });
    bare = bare && name != "function" && !name.ends_with("unit") && name != "when" &&
           name != "related_pin";
    out += indent + "  " + name + " : " + (bare ? value : '"' + value + '"') + ";\n";
  }
  for (const LibertyGroup& child : group.groups) WriteGroup(child, out, depth + 1);
  out += indent + "}\n";
}

void RenameTables(LibertyGroup& group, const std::map<std::string, std::string>& names) {
  if (group.args.size() == 1) {
    auto found = names.find(group.args.front());
    if (found != names.end() && group.name != "cell" && group.name != "pin")
      group.args.front() = found->second;
  }
  for (LibertyGroup& child : group.groups) RenameTables(child, names);
}

// Cells and tables of another file of the same technology. Tables that share a name and differ are
// renamed.
void Merge(LibertyGroup& into, LibertyGroup from, size_t index, const std::string& file) {
  for (const char* unit : {"time_unit", "voltage_unit", "current_unit", "leakage_power_unit"}) {
    if (into.Get(unit) != from.Get(unit)) {
      RefuseInput(
          "{}:{}: {} is '{}' here and '{}' in the first file; accepted: files of one technology",
          file, from.line, unit, from.Get(unit), into.Get(unit));
    }
  }
  std::map<std::string, std::string> renamed;
  auto key = [](const LibertyGroup& group) {
    return group.name + " " + (group.args.empty() ? "" : group.args.front());
  };
  std::map<std::string, size_t> known;
  for (size_t i = 0; i < into.groups.size(); ++i) known[key(into.groups[i])] = i;
  for (LibertyGroup& group : from.groups) {
    if (group.name == "cell" || group.args.empty()) continue;
    auto found = known.find(key(group));
    if (found == known.end()) continue;
    std::string mine, theirs;
    WriteGroup(into.groups[found->second], theirs, 0);
    WriteGroup(group, mine, 0);
    if (mine != theirs)
      renamed[group.args.front()] = fmt::format("{}_{}", group.args.front(), index);
  }
  RenameTables(from, renamed);
  for (LibertyGroup& group : from.groups) {
    if (known.count(key(group))) {
      if (group.name == "cell") {
        RefuseInput("{}:{}: cell {} stands in an earlier file too; accepted: each cell once", file,
                    group.line, group.args.empty() ? "" : group.args.front());
      }
      continue;
    }
    into.groups.push_back(std::move(group));
  }
}

}  // namespace

std::string_view LibertyGroup::Get(std::string_view attribute) const {
  for (auto it = attributes.rbegin(); it != attributes.rend(); ++it) {
    if (it->first == attribute) return it->second;
  }
  return {};
}

double LibertyGroup::Number(std::string_view attribute) const {
  return std::strtod(std::string(Get(attribute)).c_str(), nullptr);
}

Liberty Liberty::Read(const std::vector<fs::path>& files) {
  if (files.empty()) RefuseInput("no Liberty file given; accepted: at least one");
  Liberty library;
  for (size_t i = 0; i < files.size(); ++i) {
    std::string text = ReadAny(files[i]);
    LibertyGroup root = Parser(files[i].string(), text).Library();
    if (std::none_of(root.groups.begin(), root.groups.end(),
                     [](const LibertyGroup& group) { return group.name == "cell"; })) {
      RefuseInput("{}:{}: the library holds no cell; accepted: at least one", files[i].string(),
                  root.line);
    }
    if (i == 0) {
      library.root_ = std::move(root);
    } else {
      Merge(library.root_, std::move(root), i, files[i].string());
    }
  }
  return library;
}

namespace {

// "1ns", or 1, ns.
double Unit(std::string_view text) {
  const std::string copy(text);
  char* end = nullptr;
  const double number = std::strtod(copy.c_str(), &end);
  while (*end == ' ' || *end == ',' || *end == '"') ++end;
  const std::string_view prefixes = "fpnum";
  const size_t prefix = prefixes.find(static_cast<char>(std::tolower(*end)));
  if (prefix == std::string_view::npos) return number;
  return number * std::pow(1000.0, static_cast<double>(prefix) - 5);
}

}  // namespace

double Liberty::TimeUnit() const { return Unit(root_.Get("time_unit")); }

double Liberty::LeakageUnit() const { return Unit(root_.Get("leakage_power_unit")); }

double Liberty::CapacitanceUnit() const {
  for (const auto& [name, raw] : root_.complex) {
    if (name == "capacitive_load_unit") return Unit(raw);
  }
  return 1e-12;
}

const LibertyGroup* Liberty::Template(std::string_view name) const {
  for (const LibertyGroup& group : root_.groups) {
    if (group.name == "power_lut_template" && !group.args.empty() && group.args[0] == name) {
      return &group;
    }
  }
  return nullptr;
}

double Liberty::ShareOf(std::string_view when, const std::vector<std::string>& pins,
                        const std::map<std::string, bool>& tied) const {
  if (when.empty()) return 1;
  std::vector<std::string> named;
  for (const std::string& pin : pins) {
    if (when.find(pin) != when.npos) named.push_back(pin);
  }
  if (named.size() > 6) return 1;
  const auto table = FunctionTable(when, named).Table();
  if (!table) return 1;
  int possible = 0, true_ones = 0;
  for (uint64_t pattern = 0; pattern < uint64_t{1} << named.size(); ++pattern) {
    bool fits = true;
    for (size_t i = 0; i < named.size(); ++i) {
      auto fixed = tied.find(named[i]);
      fits = fits && (fixed == tied.end() || fixed->second == ((pattern >> i & 1) != 0));
    }
    possible += fits;
    true_ones += fits && (*table >> pattern & 1);
  }
  return possible > 0 ? static_cast<double>(true_ones) / possible : 0;
}

const LibertyGroup* Liberty::Cell(std::string_view name) const {
  for (const LibertyGroup& group : root_.groups) {
    if (group.name == "cell" && !group.args.empty() && group.args.front() == name) return &group;
  }
  return nullptr;
}

double Liberty::Area(std::string_view cell) const {
  const LibertyGroup* group = Cell(cell);
  return group ? group->Number("area") : 0;
}

void Liberty::SetArea(std::string_view cell, double um2) {
  for (LibertyGroup& group : root_.groups) {
    if (group.name == "cell" && !group.args.empty() && group.args.front() == cell) {
      group.attributes.emplace_back("area", fmt::format("{}", um2));
    }
  }
}

std::string Liberty::Nand2() const {
  const LibertyGroup* cell = SmallestGate(root_, 2, kNand2);
  if (!cell)
    RefuseInput("library {}: no two-input NAND with an area; a gate equivalent needs one", name());
  return cell->args.front();
}

std::optional<std::string> Liberty::Inverter() const {
  const LibertyGroup* cell = SmallestGate(root_, 1, kNot1);
  return cell ? std::optional(cell->args.front()) : std::nullopt;
}

std::optional<std::string> Liberty::Xor2() const {
  const LibertyGroup* cell = SmallestGate(root_, 2, kXor2);
  return cell ? std::optional(cell->args.front()) : std::nullopt;
}

std::optional<AdderCell> Liberty::FullAdder() const {
  auto fill = [](const LibertyGroup& cell, AdderCell& adder) {
    auto logic = LogicOf(cell);
    if (!logic || logic->inputs.size() != 3 || logic->outputs.size() != 2) return false;
    for (const auto& [pin, table] : logic->outputs) {
      if (table == kXor3 || table == (kXor3 ^ 0xff)) {
        adder.sum = pin;
        adder.sum_inverted = table != kXor3;
      } else if (table == kMajority3 || table == (kMajority3 ^ 0xff)) {
        adder.carry = pin;
        adder.carry_inverted = table != kMajority3;
      }
    }
    for (size_t i = 0; i < 3; ++i) adder.inputs[i] = logic->inputs[i];
    adder.cell = cell.args.front();
    adder.area = cell.Number("area");
    return !adder.sum.empty() && !adder.carry.empty();
  };
  const LibertyGroup* cell = Smallest(root_, [&](const LibertyGroup& candidate) {
    AdderCell adder;
    return fill(candidate, adder);
  });
  if (!cell) return std::nullopt;
  AdderCell adder;
  fill(*cell, adder);
  return adder;
}

std::optional<ClockGateCell> Liberty::ClockGate() const {
  auto fill = [](const LibertyGroup& cell, ClockGateCell& gate) {
    if (!cell.Get("clock_gating_integrated_cell").starts_with("latch_posedge")) return false;
    for (const LibertyGroup& pin : cell.groups) {
      if (pin.name != "pin") continue;
      if (IsTrue(pin.Get("clock_gate_clock_pin"))) gate.clock = pin.args.front();
      if (IsTrue(pin.Get("clock_gate_enable_pin"))) gate.enable = pin.args.front();
      if (IsTrue(pin.Get("clock_gate_test_pin"))) gate.test.push_back(pin.args.front());
      if (IsTrue(pin.Get("clock_gate_out_pin"))) gate.output = pin.args.front();
    }
    gate.cell = cell.args.front();
    gate.area = cell.Number("area");
    return !gate.clock.empty() && !gate.enable.empty() && !gate.output.empty();
  };
  const LibertyGroup* cell = Smallest(root_, [&](const LibertyGroup& candidate) {
    ClockGateCell gate;
    return fill(candidate, gate);
  });
  if (!cell) return std::nullopt;
  ClockGateCell gate;
  fill(*cell, gate);
  return gate;
}

std::optional<CellModel> Liberty::Model(std::string_view name) const {
  const LibertyGroup* cell = Cell(name);
  if (!cell) return std::nullopt;
  CellModel model;
  if (auto logic = LogicOf(*cell); logic && !logic->outputs.empty()) {
    model.inputs = logic->inputs;
    model.outputs = logic->outputs;
    return model;
  }
  const LibertyGroup* state = nullptr;
  const LibertyGroup* output = nullptr;
  const bool gate = cell->Get("clock_gating_integrated_cell").starts_with("latch_posedge");
  for (const LibertyGroup& group : cell->groups) {
    if (group.name == "ff") state = &group;
  }
  for (const LibertyGroup& group : cell->groups) {
    if (group.name != "pin") continue;
    const std::string& pin = group.args.front();
    if (group.Get("direction") == "internal") continue;
    if (group.Get("direction") == "output") {
      if (output) return std::nullopt;
      output = &group;
    } else if (IsTrue(group.Get("clock_gate_clock_pin")) ||
               (state && state->Get("clocked_on") == pin)) {
      model.clock = pin;
    } else {
      model.inputs.push_back(pin);
    }
  }
  if (!output || model.clock.empty() || model.inputs.size() > 6) return std::nullopt;
  if (gate) {
    std::string any;
    for (const std::string& pin : model.inputs) any += (any.empty() ? "" : "|") + pin;
    auto table = FunctionTable(any, model.inputs).Table();
    if (!table) return std::nullopt;
    model.kind = CellModel::Kind::kClockGate;
    model.outputs.emplace_back(output->args.front(), *table);
    return model;
  }
  if (!state || state->args.empty()) return std::nullopt;
  // What the output shows behind the edge.
  auto table = [&](std::string_view attribute) -> std::optional<uint64_t> {
    if (state->Get(attribute).empty()) return 0;
    return FunctionTable(state->Get(attribute), model.inputs).Table();
  };
  auto next = table("next_state"), clear = table("clear"), preset = table("preset");
  if (!next || !clear || !preset) return std::nullopt;
  uint64_t value = (*next & ~*clear) | *preset;
  if (state->args.size() > 1 && output->Get("function") == state->args[1]) {
    value = ~value;
    model.inverted = true;
  } else if (output->Get("function") != state->args[0]) {
    return std::nullopt;
  }
  model.kind = CellModel::Kind::kFlop;
  model.outputs.emplace_back(output->args.front(), value);
  return model;
}

std::string Liberty::Text(bool for_mapping, const std::vector<std::string>& exclude) const {
  LibertyGroup head = root_;
  head.groups.clear();
  // Defaults that name a group must follow it.
  std::string defaults;
  std::erase_if(head.attributes, [&](const auto& attribute) {
    if (!attribute.first.starts_with("default_operating") &&
        !attribute.first.starts_with("default_wire"))
      return false;
    defaults += fmt::format("  {} : \"{}\";\n", attribute.first, attribute.second);
    return true;
  });
  std::string tables, body;
  for (const LibertyGroup& group : root_.groups) {
    if (group.name == "cell" && for_mapping) {
      if (!IsUsable(group)) continue;
      const std::string& cell = group.args.front();
      if (std::any_of(exclude.begin(), exclude.end(), [&](const std::string& glob) {
            return fnmatch(glob.c_str(), cell.c_str(), 0) == 0;
          })) {
        continue;
      }
    }
    WriteGroup(group, group.name == "cell" ? body : tables, 1);
  }
  std::string text;
  WriteGroup(head, text, 0);
  text.resize(text.size() - 2);  // the closing brace and its line end
  return text + tables + defaults + body + "}\n";
}

}  // namespace vaultrain
