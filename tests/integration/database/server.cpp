#include "server.hpp"

#include "database/setup.hpp"

#include <stdexcept>
#include <stdlib.h>

namespace bft::database::testing {

PrivateServer::PrivateServer() {
    char path[] = "/tmp/bft-db-XXXXXX";
    if (mkdtemp(path) == nullptr) throw std::runtime_error("mkdtemp failed");
    folder_ = path;
    start();
    (void)fresh_database("bank");
}

PrivateServer::~PrivateServer() {
    auto command = std::string(BFT_MARIADB_SCRIPT) + " remove " + folder_;
    if (::system(command.c_str()) != 0) ::fprintf(stderr, "failed: %s\n", command.c_str());
}

void PrivateServer::script(const std::string& command) const {
    auto line = std::string(BFT_MARIADB_SCRIPT) + " " + command + " " + folder_;
    if (::system(line.c_str()) != 0) throw std::runtime_error("failed: " + line);
}

void PrivateServer::start() const {
    script("start");
}
void PrivateServer::crash() const {
    script("kill");
}

ConnectOptions PrivateServer::options() const {
    ConnectOptions options;
    options.socket = folder_ + "/mysqld.sock";
    options.database = "bank";
    return options;
}

ConnectOptions PrivateServer::fresh_database(const std::string& name) const {
    auto connect = options();
    connect.database.clear();
    auto session = Session::connect(connect).value();
    session.run("DROP DATABASE IF EXISTS " + quote_name(name)).value();
    create_database(session, name).value();
    connect.database = name;
    return connect;
}

}  // namespace bft::database::testing
