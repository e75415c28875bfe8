// scenario_run FILE...: runs scenarios and compares their events. --update writes what happened.
#include "scenario.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace {

struct Transcript {
    std::vector<std::string> lines;
    bool failed = false;
};

Transcript play(const std::string& file, std::istream& in) {
    bft::scenario::Scenario scenario;
    Transcript transcript;
    std::size_t number = 0;
    for (std::string line; std::getline(in, line);) {
        ++number;
        if (line.rfind("> ", 0) == 0) continue;
        transcript.lines.push_back(line);
        if (line.empty() || line[0] == '#') continue;
        try {
            for (const std::string& event : scenario.execute(line))
                transcript.lines.push_back("> " + event);
        } catch (const std::exception& problem) {
            std::printf("%s:%zu: %s\n", file.c_str(), number, problem.what());
            transcript.failed = true;
            return transcript;
        }
    }
    for (const std::string& violation : scenario.violations()) {
        std::printf("%s: a property broke: %s\n", file.c_str(), violation.c_str());
        transcript.failed = true;
    }
    return transcript;
}

std::vector<std::string> lines_of(std::istream& in) {
    std::vector<std::string> lines;
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
}

// The first differing lines say enough; the rest usually follows from them.
void show_difference(const std::string& file, const std::vector<std::string>& wanted,
                     const std::vector<std::string>& is) {
    std::size_t at = 0;
    while (at < wanted.size() && at < is.size() && wanted[at] == is[at]) ++at;
    std::printf("%s:%zu: differs\n", file.c_str(), at + 1);
    for (std::size_t i = at; i < at + 8 && i < wanted.size(); ++i)
        std::printf("  - %s\n", wanted[i].c_str());
    for (std::size_t i = at; i < at + 8 && i < is.size(); ++i)
        std::printf("  + %s\n", is[i].c_str());
}

}  // namespace

int main(int argc, char** argv) {
    bool update = false;
    int failed = 0;
    int ran = 0;
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--update") == 0) {
            update = true;
            continue;
        }
        std::string file = argv[i];
        std::ifstream in(file);
        if (!in) {
            std::printf("%s: cannot be read\n", file.c_str());
            return 2;
        }
        Transcript transcript = play(file, in);
        std::ifstream again(file);
        std::vector<std::string> wanted = lines_of(again);
        ++ran;
        if (!transcript.failed && update) {
            std::ofstream out(file);
            for (const std::string& line : transcript.lines) out << line << '\n';
        } else if (transcript.failed || transcript.lines != wanted) {
            if (!transcript.failed) show_difference(file, wanted, transcript.lines);
            ++failed;
        }
    }
    std::printf("%d scenarios, %d failed\n", ran, failed);
    return failed == 0 && ran > 0 ? 0 : 1;
}
