//! More clients than the gateway has places for.

use testbed::Testbed;
use tokio::net::TcpStream;

use crate::support::{Program, Start, completed, start_transfer, worker};

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_connect_and_say_nothing_keep_no_worker_out() {
    let testbed = Testbed::start().await;
    let flags = ["--address", testbed.server_address()];
    let gateway = Program::start(Start { flags: &flags, ..Start::default() }).await;
    let mut crowd = Vec::new();
    for number in 0..300 {
        let client = TcpStream::connect(&gateway.grpc).await;
        crowd.push(client.unwrap_or_else(|error| panic!("client {number}: {error}")));
    }
    let worker = worker(&gateway, "default", &testbed.bank_url).await;
    start_transfer(&gateway, "default", "beside-a-crowd").await;
    completed(&gateway, "default", "beside-a-crowd").await;
    worker.stop().await;
    drop(crowd);
}
