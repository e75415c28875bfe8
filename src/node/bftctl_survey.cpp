#include "node/bftctl_survey.hpp"

#include <cstdio>
#include <unistd.h>

namespace bft::node {

bool Survey::all_ready() const {
    for (const HostStatus& host : hosts)
        if (host.document.empty() || !host.status.ready) return false;
    return true;
}

Survey ask(const std::vector<Target>& targets) {
    Survey survey;
    for (const Target& target : targets) {
        HostStatus& host = survey.hosts.emplace_back();
        host.host = target.config.host;
        Result<std::string> document = read_status(target.config.status_socket);
        if (!document) {
            host.why = document.error().what;
            continue;
        }
        const Result<StatusDocument> status = parse_status(*document);
        if (!status) {
            host.why = status.error().what;
            continue;
        }
        host.document = *document;
        host.status = *status;
        for (const auto& [accused, count] : status->disagreements) {
            if (count == 0 || accused == host.host) continue;
            survey.disagreements[accused] += count;
            survey.accusers[accused].insert(host.host);
        }
    }
    return survey;
}

void begin_screen() {
    static bool first = true;
    if (::isatty(STDOUT_FILENO) == 1)
        std::fputs("\x1b[H\x1b[2J", stdout);
    else if (!first)
        std::fputs("\n", stdout);
    first = false;
}

}  // namespace bft::node
