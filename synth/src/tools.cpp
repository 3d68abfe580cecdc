// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include "tools.h"

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "netlist.h"
#include "vaultrain/digest.h"
#include "vaultrain/error.h"
#include "vaultrain/output.h"
#include "vaultrain/process.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Clock pins behind one clock gate.
constexpr int kMaxGatedBits = 32;

std::string FirstLineWith(std::string_view text, std::string_view mark) {
  size_t at = text.find(mark);
  if (at == text.npos) return "";
  size_t start = text.rfind('\n', at);
  start = start == text.npos ? 0 : start + 1;
  return std::string(text.substr(start, text.find('\n', at) - start));
}

std::string FirstLine(std::string_view text) {
  return std::string(text.substr(0, text.find('\n')));
}

std::optional<json> Recall(const FlowSetup& setup, const std::string& key) {
  if (setup.cache.empty()) return std::nullopt;
  fs::path file = setup.cache / (key + ".json");
  if (!fs::is_regular_file(file)) return std::nullopt;
  json value = json::parse(ReadFile(file), nullptr, false);
  if (value.is_discarded()) return std::nullopt;
  return value;
}

// A cache that cannot be written costs time and nothing else.
void Remember(const FlowSetup& setup, const std::string& key, const json& value) {
  if (setup.cache.empty()) return;
  std::error_code ignored;
  fs::create_directories(setup.cache, ignored);
  try {
    WriteFile(setup.cache / (key + ".json"), value.dump());
  } catch (const Error&) {
  }
}

std::string TclList(const std::vector<std::string>& items) {
  std::string text = "{";
  for (const std::string& item : items) text += " {" + item + "}";
  return text + " }";
}

// The number in "VT key number".
std::optional<double> Marked(std::string_view log, std::string_view key) {
  std::string line = FirstLineWith(log, fmt::format("VT {} ", key));
  if (line.empty()) return std::nullopt;
  return std::strtod(line.substr(line.rfind(' ')).c_str(), nullptr);
}

std::string Endpoint(std::string_view log, std::string_view mark) {
  std::string line = FirstLineWith(log, mark);
  if (line.empty()) return "";
  line = line.substr(mark.size());
  return line.substr(0, line.find(" ("));
}

}  // namespace

const std::vector<Recipe>& Recipes() {
  static const std::vector<Recipe> recipes = {
      {"ripple adders, area", 64, "area.abc"},
      {"ripple adders, balanced", 64, "balance.abc"},
      {"long prefix adders, area", 20, "area.abc"},
      {"prefix adders, area", kPrefixAdders, "area.abc"},
      {"prefix adders, speed", kPrefixAdders, "speed.abc"},
  };
  return recipes;
}

std::string ToolVersions() {
  std::string yosys = FirstLine(RunProcess({"yosys", "-V"}).out);
  std::string sta = FirstLine(RunProcess({"sta", "-version"}).out);
  if (yosys.empty())
    ReportTool("yosys: does not say its version; accepted: Yosys 0.23 or later in PATH");
  return yosys + "; OpenSTA " + sta;
}

fs::path CacheFolder() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache) return fs::path(cache) / "vaultrain/synth";
  const char* home = std::getenv("HOME");
  if (home && *home) return fs::path(home) / ".cache/vaultrain/synth";
  return {};
}

std::string Fill(const std::string& text, const std::map<std::string, std::string>& values) {
  std::string out;
  size_t at = 0;
  while (true) {
    size_t open = text.find('@', at);
    if (open == text.npos) return out + text.substr(at);
    size_t close = text.find('@', open + 1);
    std::string key = close == text.npos ? "" : text.substr(open + 1, close - open - 1);
    bool is_key = !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
      return (c >= 'A' && c <= 'Z') || c == '_';
    });
    if (!is_key) {
      out += text.substr(at, open + 1 - at);
      at = open + 1;
      continue;
    }
    auto found = values.find(key);
    if (found == values.end()) {
      throw Error(ExitStatus::kInternal, fmt::format("placeholder @{}@ has no value", key));
    }
    out += text.substr(at, open - at) + found->second;
    at = close + 1;
  }
}

void RunYosys(const fs::path& script, int failure_status, std::string_view what) {
  ProcessResult result = RunProcess({"yosys", "-q", script.string()});
  if (result.status == 0) return;
  std::string line = FirstLineWith(result.err, "ERROR");
  if (line.empty()) line = FirstLineWith(result.out, "ERROR");
  if (line.empty()) line = fmt::format("ended with status {}", result.status);
  throw Error(static_cast<ExitStatus>(failure_status), fmt::format("yosys: {}: {}", what, line));
}

MappedBlock MapBlock(const FlowSetup& setup, const std::string& rtlil, const std::string& top,
                     const Recipe& recipe, double clock_ns, int gating_bits) {
  std::string gating;
  if (gating_bits > 0) {
    gating = fmt::format(
        "techmap -D VT_MIN_GATED={} -D VT_MAX_GATED={} -map {}/yosys/gating.v t:$dffe t:$sdffe "
        "t:$adffe\nopt_clean",
        gating_bits, kMaxGatedBits, setup.share.string());
  }
  std::map<std::string, std::string> values = {
      {"SHARE", setup.share.string()},
      {"WORK", setup.work.string()},
      {"TOP", top},
      {"GATING", gating},
      {"RIPPLE", std::to_string(recipe.max_ripple)},
      {"ABC_PS", fmt::format("{:.0f}", clock_ns * 900)},
      {"ABC", (setup.share / "yosys" / recipe.abc).string()},
  };
  std::string key_text = setup.map_digest + rtlil + top;
  for (const auto& [key, value] : values) {
    if (key != "WORK" && key != "SHARE" && key != "ABC") key_text += key + value;
  }
  key_text += recipe.abc;
  std::string key = ToHex(Sha256(key_text));
  MappedBlock block;
  if (auto known = Recall(setup, key)) {
    block.cells = known->at("cells").get<std::map<std::string, long>>();
    block.netlist = known->at("netlist").get<std::string>();
    block.script = known->at("script").get<std::string>();
    return block;
  }
  ScratchFolder scratch;
  values["OUT"] = scratch.path().string();
  values["DESIGN"] = (scratch.path() / "design.il").string();
  WriteFile(scratch.path() / "design.il", rtlil);
  block.script = Fill(ReadFile(setup.share / "yosys/block.ys"), values);
  WriteFile(scratch.path() / "block.ys", block.script);
  RunYosys(scratch.path() / "block.ys", static_cast<int>(ExitStatus::kToolMissing), top);
  std::string stat = ReadFile(scratch.path() / "stat.json");
  json statistics = json::parse(stat.substr(std::min(stat.find('{'), stat.size())), nullptr, false);
  if (statistics.is_discarded()) ReportTool("yosys: {}: stat -json is not readable", top);
  block.cells = statistics.at("modules")
                    .at("\\" + top)
                    .at("num_cells_by_type")
                    .get<std::map<std::string, long>>();
  block.netlist = SplitAssignments(ReadFile(scratch.path() / "netlist.v"));
  Remember(setup, key,
           {{"cells", block.cells}, {"netlist", block.netlist}, {"script", block.script}});
  return block;
}

StaResult TimeNetlist(const FlowSetup& setup, const std::vector<std::string>& netlists,
                      const std::vector<std::string>& libraries, const std::string& top,
                      const StaSetup& sta, bool with_slews) {
  std::string head = fmt::format(
      "set vt_top {{{}}}\nset vt_clock_ns {}\nset vt_uncertainty_ns {}\nset vt_input_delay_ns {}\n"
      "set vt_output_delay_ns {}\nset vt_driver {{{}}}\nset vt_load_pf {}\nset vt_slews {}\n",
      top, sta.clock_ns, sta.uncertainty_ns, sta.input_delay_ns, sta.output_delay_ns, sta.driver,
      sta.load_pf, with_slews ? 1 : 0);
  std::string key_text = setup.sta_digest + head;
  for (const auto& text : netlists) key_text += text;
  for (const auto& text : libraries) key_text += text;
  std::string key = ToHex(Sha256(key_text));
  StaResult result;
  if (auto known = Recall(setup, key)) {
    if (!known->at("slack").is_null()) result.slack_ns = known->at("slack").get<double>();
    result.from = known->at("from").get<std::string>();
    result.to = known->at("to").get<std::string>();
    result.slews = known->at("slews").get<std::string>();
    result.script = known->at("script").get<std::string>();
    result.log = known->at("log").get<std::string>();
    return result;
  }
  ScratchFolder scratch;
  std::vector<std::string> liberty_files = {(setup.work / "sta.lib").string()};
  std::vector<std::string> netlist_files;
  for (size_t i = 0; i < libraries.size(); ++i) {
    fs::path file = scratch.path() / fmt::format("memory{}.lib", i);
    WriteFile(file, libraries[i]);
    liberty_files.push_back(file.string());
  }
  for (size_t i = 0; i < netlists.size(); ++i) {
    fs::path file = scratch.path() / fmt::format("netlist{}.v", i);
    WriteFile(file, netlists[i]);
    netlist_files.push_back(file.string());
  }
  result.script =
      head +
      fmt::format("set vt_liberty {}\nset vt_netlists {}\nset vt_sdc {{{}}}\nsource {{{}}}\nexit\n",
                  TclList(liberty_files), TclList(netlist_files), sta.sdc.string(),
                  (setup.share / "sta.tcl").string());
  WriteFile(scratch.path() / "run.tcl", result.script);
  ProcessResult run =
      RunProcess({"sta", "-no_splash", "-exit", (scratch.path() / "run.tcl").string()});
  result.log = run.out + run.err;
  // OpenSTA 2.0.17 may crash on its way out, after all was said.
  std::string fault = FirstLineWith(result.log, "Error:");
  if (!fault.empty() || result.log.find("VT done") == result.log.npos) {
    ReportTool("sta: {}: {}", top,
               fault.empty() ? fmt::format("ended with status {}", run.status) : fault);
  }
  // One path a path group: the worst of them.
  double worst = 0;
  for (size_t at = result.log.find("Startpoint: "); at != result.log.npos;) {
    size_t next = result.log.find("Startpoint: ", at + 1);
    std::string_view path = std::string_view(result.log).substr(at, next - at);
    double slack = std::strtod(FirstLineWith(path, "  slack (").c_str(), nullptr);
    if (result.to.empty() || slack < worst) {
      worst = slack;
      result.from = Endpoint(path, "Startpoint: ");
      result.to = Endpoint(path, "Endpoint: ");
    }
    at = next;
  }
  if (!result.to.empty()) result.slack_ns = Marked(result.log, "slack");
  if (with_slews) {
    const size_t at = result.log.find("VT slews\n");
    const size_t end = result.log.find("VT done");
    if (at == result.log.npos) ReportTool("sta: {}: no slews", top);
    result.slews = result.log.substr(at + 9, end - at - 9);
    result.log.erase(at, end - at);
  }
  json slack = nullptr;
  if (result.slack_ns) slack = *result.slack_ns;
  Remember(setup, key,
           {{"slack", slack},
            {"from", result.from},
            {"to", result.to},
            {"slews", result.slews},
            {"script", result.script},
            {"log", result.log}});
  return result;
}

}  // namespace vaultrain
