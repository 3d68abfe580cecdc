// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors
//
// vaultrain report: what it takes and refuses, and its page in headless Chromium: drawn, sorted,
// told what is absent, with nothing loaded.

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "unit/report_cases.h"
#include "vaultrain/digest.h"
#include "vaultrain/output.h"
#include "vaultrain/process.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::Contains;
using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsSupersetOf;
using testing::Not;
using testing::StartsWith;

class Report : public testing::Test {
 protected:
  void SetUp() override { fs::create_directory(Path("run")); }

  fs::path Path(const std::string& name) const { return work_.path() / name; }

  ProcessResult Run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), VT_PROGRAM);
    return RunProcess(arguments, work_.path());
  }

  void Put(const std::string& file, const json& content) {
    WriteFile(Path("run") / file, content.dump(1));
  }

  // The page of the folder run.
  std::string Page() {
    const ProcessResult result = Run({"report", "run"});
    EXPECT_EQ(result.status, 0) << result.err;
    return ReadFile(Path("run/report.html"));
  }

  // One line that holds `message`, and no page.
  void ExpectRefused(const std::string& message) {
    const ProcessResult result = Run({"report", "run"});
    EXPECT_EQ(result.status, 2) << result.out;
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, StartsWith("vaultrain: run"));
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    EXPECT_FALSE(fs::exists(Path("run/report.html")));
  }

  // Opens the page in Chromium, `width` pixels wide, runs `questions` (statements that set members
  // of `answer`) once everything is drawn, and returns the answer.
  json Browse(const std::string& page, const std::string& questions, int width = 1280) {
    WriteFile(
        Path("asked.html"),
        page + "<script>addEventListener('load', () => setTimeout(() => { const answer = {};" +
            questions +
            // Letters that the dump would write as entities are escaped as JSON has it.
            "; const text = JSON.stringify(answer).replace(/[<>&\\u00a0]/g, (c) => '\\\\u00' + "
            "c.charCodeAt(0).toString(16));"
            "document.body.append('ANSWER' + text + 'REWSNA'); }, 1000));</script>");
    const ProcessResult result =
        RunProcess({VT_CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
                    "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
                    "--enable-logging=stderr", "--user-data-dir=" + Path("profile").string(),
                    "--virtual-time-budget=5000", fmt::format("--window-size={},1000", width),
                    "--dump-dom", "file://" + Path("asked.html").string()},
                   work_.path());
    EXPECT_EQ(result.status, 0) << result.err;
    // Errors, warnings and refused loads alike.
    EXPECT_THAT(result.err, Not(HasSubstr("CONSOLE"))) << result.err;
    // Behind the script that asks.
    const size_t end = result.out.rfind("REWSNA");
    const size_t begin = result.out.rfind("ANSWER", end);
    if (end == std::string::npos || result.out[begin + 6] != '{') {
      ADD_FAILURE() << "the page's scripts did not come to their end: " << result.err;
      return {};
    }
    return json::parse(result.out.substr(begin + 6, end - begin - 6));
  }

  ScratchFolder work_;
};

TEST_F(Report, WritesOnePageThatIsTheSameForTheSameFiles) {
  Put("train.json", TrainCase());
  Put("synth.json", SynthCase());
  const ProcessResult result = Run({"report", "run", "--json", "r.json"});
  ASSERT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out, "run/report.html: synth.json, train.json\n");
  const std::string page = ReadFile(Path("run/report.html"));
  const json written = json::parse(ReadFile(Path("r.json")));
  EXPECT_EQ(written["schema"], "vaultrain.report/1");
  EXPECT_EQ(written["page"], "run/report.html");
  EXPECT_EQ(written["sha256"], ToHex(Sha256(page)));
  EXPECT_THAT(written["shown"], ElementsAre("synth.json", "train.json"));
  ASSERT_EQ(Run({"report", "run", "--out", "again.html"}).status, 0);
  EXPECT_EQ(ReadFile(Path("again.html")), page);
}

TEST_F(Report, TheLibraryComesWithItsLicence) {
  Put("train.json", TrainCase());
  const std::string page = Page();
  EXPECT_THAT(page, HasSubstr("Mike Bostock"));
  EXPECT_THAT(page, HasSubstr("Redistribution and use in source and binary forms"));
}

// The schemas that the page is checked against are those that the commands write.
TEST_F(Report, TakesWhatTheCommandsWrite) {
  ASSERT_EQ(Run({"generate", "quad", "--out", "quad", "--json", "run/generate.json"}).status, 0);
  ASSERT_EQ(Run({"train", "nano", "tiny", "--engine", "golden", "--steps", "2", "--json",
                 "run/train.json"})
                .status,
            0);
  const json train = json::parse(ReadFile(Path("run/train.json")));
  EXPECT_EQ(train["variant_keys"]["array.lanes"], 16);
  EXPECT_EQ(train["macs_per_cycle"], 64);
  // 8 bytes a cycle, less what refresh takes.
  EXPECT_GT(train["dram_bytes_per_cycle"], 7.5);
  EXPECT_LT(train["dram_bytes_per_cycle"], 8);
  ASSERT_EQ(Run({"list", "--json", "run/list.json"}).status, 0);
  WriteFile(Path("run/foreign.json"), "[1, 2]");
  const ProcessResult result = Run({"report", "run"});
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.out,
            "run/report.html: generate.json, train.json\nnot drawn: foreign.json, list.json\n");
}

TEST_F(Report, RefusesInOneLineAndWritesNothing) {
  EXPECT_EQ(Run({"report", "nowhere"}).status, 2);
  EXPECT_THAT(Run({"report", "nowhere"}).err, HasSubstr("nowhere: is no folder"));
  ExpectRefused("nothing to draw; accepted: a folder with what generate, sweep, synth, train");
  Put("list.json", {{"schema", "vaultrain.list/1"}});
  ExpectRefused("nothing to draw");

  WriteFile(Path("run/train.json"), "{\"schema\": \n!");
  ExpectRefused("run/train.json: no JSON: parse error at line 2, column 1");
  json train = TrainCase();
  train["schema"] = "vaultrain.train/2";
  Put("train.json", train);
  ExpectRefused("run/train.json: schema 'vaultrain.train/2'; accepted: 'vaultrain.train/1'");
  train = TrainCase();
  train["layers"][1].erase("cycles");
  Put("train.json", train);
  ExpectRefused("run/train.json: no key 'layers[1].cycles'");
  train = TrainCase();
  train["layers"][1]["macs"] = nullptr;
  Put("train.json", train);
  ExpectRefused("run/train.json: key 'layers[1].macs' is null; accepted: a number");
  train = TrainCase();
  train["variant_keys"]["array.rows"] = json::array({1});
  Put("train.json", train);
  ExpectRefused("key 'variant_keys' is object; accepted: an object of texts and numbers");

  Put("train.json", TrainCase());
  EXPECT_EQ(Run({"report", "run", "--out", "no/such/page.html"}).status, 2);
}

// Counts what each figure has drawn.
constexpr const char* kFigures =
    "answer.figures = {}; for (const figure of document.querySelectorAll('figure')) "
    "answer.figures[figure.querySelector('h4').textContent] = "
    "figure.querySelectorAll('.plot rect, .plot path.mark, .plot path.point, .plot "
    "path.curve').length;";

TEST_F(Report, DrawsEveryPlot) {
  Put("train.json", TrainCase());
  Put("synth.json", SynthCase());
  Put("sweep.json", SweepCase());
  const json answer = Browse(
      Page(), std::string(kFigures) +
                  "answer.front = document.querySelectorAll('.front').length;"
                  "answer.best = document.querySelectorAll('.point.best').length;"
                  "answer.roofline = document.querySelectorAll('.mark.open').length;"
                  "answer.loads = performance.getEntriesByType('resource').length;"
                  "answer.labels = [...document.querySelectorAll('.plot > svg')].every((svg) => "
                  "svg.getAttribute('role') === 'img' && svg.getAttribute('aria-label'));"
                  "answer.title = document.title");
  const json& figures = answer["figures"];
  ASSERT_EQ(figures.size(), 8u) << figures;
  // Boxes, lanes (1 x 4 x 16) and banks.
  EXPECT_GT(figures["Block diagram"], 64);
  EXPECT_EQ(figures["Area by block"], 3);
  EXPECT_EQ(figures["Power by block"], 3);
  EXPECT_EQ(figures["Utilisation by layer and phase"], 2 * 3);
  EXPECT_EQ(figures["A step, job by job"], 2 * 4);
  EXPECT_EQ(figures["Roofline"], 3);  // the loss has no MACs
  EXPECT_EQ(answer["roofline"], 3);
  EXPECT_GE(figures["Loss"], 1);
  EXPECT_EQ(figures["Points of the sweep"], 3);  // the fourth failed
  EXPECT_EQ(answer["best"], 2);
  EXPECT_EQ(answer["front"], 1);
  EXPECT_EQ(answer["loads"], 0);
  EXPECT_EQ(answer["labels"], true);
  EXPECT_EQ(answer["title"], "Vaultrain: nano, sweep sizes");
}

TEST_F(Report, PowerByPhaseIsEnergyOverTheTimeOfThePhase) {
  Put("synth.json", SynthCase(true));
  const json answer =
      Browse(Page(), std::string(kFigures) +
                         "const figure = [...document.querySelectorAll('figure')].find((f) => "
                         "f.querySelector('h4').textContent === 'Power by block and phase');"
                         "answer.watts = [...figure.querySelectorAll('text')].map((t) => "
                         "t.textContent).filter((t) => / m?W$/.test(t));"
                         "answer.text = document.body.innerText");
  // Two blocks in two phases, each with a track and a bar.
  EXPECT_EQ(answer["figures"]["Power by block and phase"], 2 * 4);
  EXPECT_THAT(answer["watts"], ElementsAre("400 mW", "200 mW", "200 mW", "100 mW"));
  EXPECT_EQ(answer["figures"]["Energy of a MAC by contributor"], 2);
  EXPECT_THAT(answer["text"].get<std::string>(), HasSubstr("1,200 with glitches"));
}

// Blocks below a hundredth of the power share a row, which has the sum of each phase.
TEST_F(Report, SmallBlocksShareARow) {
  json synth = SynthCase(true);
  for (const char* name : {"store engine", "sequencer", "data router"}) {
    json small = synth["blocks"][0];
    small["name"] = name;
    small["power_w"] = 0.001;
    for (json& energy : small["energy"]) energy["logic_j"] = energy["clock_j"] = 0.5e-8;
    synth["blocks"].push_back(small);
  }
  synth["sampling_error"] = {{"pe_array", 0.007}, {"logic", 0.01}, {"module", 0.005}};
  Put("synth.json", synth);
  const json answer = Browse(
      Page(), std::string(kFigures) +
                  "const figure = [...document.querySelectorAll('figure')].find((f) => "
                  "f.querySelector('h4').textContent === 'Power by block and phase');"
                  "answer.texts = [...figure.querySelectorAll('text')].map((t) => t.textContent);"
                  "answer.text = document.body.innerText");
  EXPECT_THAT(answer["texts"], Contains("the other 3"));
  // Three times 10 nJ in 10 us and in 20 us.
  EXPECT_THAT(answer["texts"], IsSupersetOf({"3 mW", "1.5 mW"}));
  EXPECT_THAT(answer["text"].get<std::string>(), HasSubstr("standard error 0.7%"));
}

TEST_F(Report, TablesSortByTheirHeads) {
  Put("synth.json", SynthCase());
  const json answer = Browse(
      Page(),
      "const table = [...document.querySelectorAll('table')].find((t) => "
      "t.caption.textContent === 'Blocks');"
      "const column = (c) => [...table.tBodies[0].rows].map((row) => row.cells[c].textContent);"
      "const heads = table.querySelectorAll('th');"
      "const press = (c) => { const button = heads[c].querySelector('button'); button.focus();"
      "  answer.focused = document.activeElement === button; button.click(); };"
      "answer.unsorted = column(0);"
      "press(2); answer.area = column(0); answer.area_order = heads[2].getAttribute('aria-sort');"
      "press(2); answer.area_back = column(0);"
      "press(5); answer.slack = column(5);"
      "press(0); answer.name = column(0); answer.area_after = heads[2].getAttribute('aria-sort')");
  EXPECT_THAT(answer["unsorted"], ElementsAre("PE array", "scratchpad", "top"));
  EXPECT_THAT(answer["area"], ElementsAre("scratchpad", "PE array", "top"));
  EXPECT_EQ(answer["area_order"], "descending");
  EXPECT_THAT(answer["area_back"], ElementsAre("top", "PE array", "scratchpad"));
  EXPECT_THAT(answer["slack"], ElementsAre("3.26", "-0.15", "no path"));
  EXPECT_THAT(answer["name"], ElementsAre("PE array", "scratchpad", "top"));
  EXPECT_TRUE(answer["area_after"].is_null());
  EXPECT_EQ(answer["focused"], true);
}

TEST_F(Report, SaysWhatIsAbsent) {
  json train = TrainCase();
  train["engine"] = "golden";
  for (const char* key : {"bit_exact", "cycles", "utilisation", "test_accuracy"})
    train[key] = nullptr;
  for (json& layer : train["layers"]) layer["cycles"] = layer["utilisation"] = nullptr;
  train["loss"] = {2.5, nullptr, 2.0};
  Put("train.json", train);
  const json answer =
      Browse(Page(), std::string(kFigures) + "answer.text = document.body.innerText");
  EXPECT_FALSE(answer["figures"].contains("Roofline"));
  EXPECT_FALSE(answer["figures"].contains("Area by block"));
  const std::string text = answer["text"];
  EXPECT_THAT(text, HasSubstr("train.json has no cycles, so no utilisation and no roofline"));
  EXPECT_THAT(text, HasSubstr("No area, timing or power of this variant"));
  EXPECT_THAT(text, HasSubstr("No sweep report in the folder"));
  EXPECT_THAT(text, HasSubstr("1 of 3 steps have no finite loss"));
  EXPECT_THAT(text, HasSubstr("not compared"));
  EXPECT_THAT(text, Not(ContainsRegex("NaN|undefined|null")));
}

TEST_F(Report, ShowsWhatFailed) {
  json train = TrainCase();
  train["bit_exact"] = false;
  train["first_mismatch"] = {{"tensor", "fc.Y"},
                             {"index", 7},
                             {"step", 1},
                             {"cycle", 1234},
                             {"rtl", 0.5},
                             {"golden", 0.25},
                             {"repeat", "vaultrain train nano net --steps 1"}};
  Put("train.json", train);
  json synth = SynthCase();
  synth["netlist_mismatch"] = {"vt_a: y_o in cycle 7", "vt_b: z_o in cycle 9"};
  Put("synth.json", synth);
  const json answer = Browse(Page(), "answer.text = document.body.innerText");
  const std::string text = answer["text"];
  EXPECT_THAT(text, ContainsRegex("vt_a: y_o in cycle 7\n+vt_b: z_o in cycle 9"));
  EXPECT_THAT(text, HasSubstr("tensor fc.Y, element 7, by cycle 1234: RTL 0.5, golden 0.25"));
  EXPECT_THAT(text, HasSubstr("vaultrain train nano net --steps 1"));
  EXPECT_THAT(text, HasSubstr("NOT met at 10 ns"));
}

TEST_F(Report, NamesInFilesStayText) {
  json train = TrainCase();
  const std::string name = "</script><script>document.title='taken'</script><!-- {{data}} &amp;";
  train["network"] = name;
  Put("train.json", train);
  const json answer = Browse(Page(),
                             "answer.title = document.title;"
                             "answer.text = document.querySelector('#report').textContent");
  EXPECT_EQ(answer["title"], "Vaultrain: nano");
  EXPECT_THAT(answer["text"].get<std::string>(), HasSubstr(name));
}

TEST_F(Report, FitsNarrowScreensInBothThemes) {
  Put("train.json", TrainCase());
  Put("synth.json", SynthCase());
  Put("sweep.json", SweepCase());
  // Chromium has no narrower window.
  const json answer = Browse(
      Page(),
      std::string(kFigures) +
          "answer.wide = innerWidth; answer.overflow = document.documentElement.scrollWidth - "
          "innerWidth; const page = () => getComputedStyle(document.body).backgroundColor;"
          "answer.before = page(); document.getElementById('theme').click(); answer.after = page()",
      500);
  EXPECT_EQ(answer["wide"], 500);
  EXPECT_LE(answer["overflow"], 0);
  EXPECT_EQ(answer["figures"].size(), 8u);
  EXPECT_NE(answer["before"], answer["after"]);
}

}  // namespace
}  // namespace vaultrain
