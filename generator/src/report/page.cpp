// SPDX-License-Identifier: Apache-2.0
// Copyright the Vaultrain authors

#include <fmt/format.h>

#include <functional>
#include <map>

#include "report/documents.h"
#include "vaultrain/error.h"
#include "vaultrain/output.h"
#include "vaultrain/report_page.h"
#include "vaultrain/version.h"

namespace vaultrain {
namespace {

namespace fs = std::filesystem;
using report::Document;
using report::Json;

// In the order in which they build on each other.
constexpr const char* kScripts[] = {"text.js",     "plot.js",    "table.js", "diagram.js",
                                    "training.js", "silicon.js", "sweep.js", "page.js"};

std::string Escaped(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

// JSON that may stand in a script element: no text of it can end the element.
std::string ScriptData(const Json& json) {
  std::string safe;
  for (char c : json.dump(-1, ' ', false, Json::error_handler_t::replace)) {
    if (c == '<')
      safe += "\\u003c";
    else
      safe += c;
  }
  return safe;
}

// Replaces {{name}} by parts.at(name), once, so that no part is searched for further names.
std::string Filled(std::string_view text, const std::map<std::string, std::string>& parts) {
  std::string filled;
  for (;;) {
    const size_t open = text.find("{{");
    filled += text.substr(0, open);
    if (open == std::string_view::npos) return filled;
    const size_t close = text.find("}}", open);
    filled += parts.at(std::string(text.substr(open + 2, close - open - 2)));
    text.remove_prefix(close + 2);
  }
}

}  // namespace

ReportPage MakeReportPage(const fs::path& folder, const ResourcePaths& resources) {
  ReportPage page;
  Json documents = Json::array();
  for (Document& document : report::ReadDocuments(folder)) {
    const bool drawn = !document.content.is_null();
    (drawn ? page.shown : page.left_out).push_back(document.file);
    documents.push_back({{"file", document.file},
                         {"schema", document.schema},
                         {"content", std::move(document.content)}});
  }
  std::string scripts;
  for (const char* script : kScripts) scripts += ReadFile(resources.report / script);
  page.html = Filled(ReadFile(resources.report / "page.html"),
                     {{"version", std::string(ToolVersion())},
                      {"style", ReadFile(resources.report / "style.css")},
                      {"library", ReadFile(resources.d3 / "d3.min.js")},
                      {"library_licence", Escaped(ReadFile(resources.d3 / "LICENSE"))},
                      {"data", ScriptData(documents)},
                      {"scripts", scripts}});
  return page;
}

}  // namespace vaultrain
