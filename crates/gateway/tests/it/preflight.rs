//! Before a lab starts, the gateway finds out what a service lacks or does not allow.

use testbed::{DevServer, Testbed, temporal_cli, until};
use tokio::process::Command;
use webtest::{Certificates, Front, Manner, has};

use crate::support::{Program, Start};

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_namespace_and_missing_search_attributes_are_created() {
    let testbed = Testbed::start().await;
    let flags = ["--address", testbed.server_address(), "--namespace", "spring"];
    let gateway = Program::start(Start { flags: &flags, ..Start::default() }).await;
    let (_, link) = gateway.get("/link").await;
    assert_eq!(link["namespace"], "spring");
    assert_eq!(link["findings"]["made"].as_array().map(Vec::len), Some(2), "{link}");
    // Created once.
    let gateway = Program::start(Start { flags: &flags, ..Start::default() }).await;
    let (_, link) = gateway.get("/link").await;
    assert_eq!(link["findings"]["made"].as_array().map(Vec::len), Some(0), "{link}");
    let (status, _) = gateway.get("/api/v1/namespaces/spring/workflows").await;
    assert_eq!(status, 200);
}

const REGISTER: &str = "/temporal.api.workflowservice.v1.WorkflowService/RegisterNamespace";
const LIST: &str = "/temporal.api.operatorservice.v1.OperatorService/ListSearchAttributes";
const ADD: &str = "/temporal.api.operatorservice.v1.OperatorService/AddSearchAttributes";

#[tokio::test(flavor = "multi_thread")]
async fn if_the_service_does_not_allow_creating_them_the_error_says_who_can_and_how() {
    if !has(&["nginx"]) {
        return;
    }
    let server = DevServer::start().await;
    let certificates = Certificates::make();
    let start = async |refuses: &[&str], namespace: &str| {
        let front = Front::start(&certificates, Manner { refuses, ..Manner::default() }, &server.address);
        let file = certificates.profile(&front, namespace);
        let environment = [("TEMPORAL_CONFIG_FILE", file.as_str())];
        let start = Start { flags: &["--profile", "class"], environment: &environment };
        Program::try_start(start).await.map(|gateway| (gateway, front))
    };
    let said = start(&[REGISTER], "spring").await.err().expect("there is no such namespace");
    for words in [
        " has no namespace spring and",
        "does not let you create it (not for you); ask its administrator to run:",
        "temporal operator namespace create --namespace spring --retention 3d",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let made = Command::from(temporal_cli().command())
        .args(["operator", "namespace", "create", "--namespace", "spring", "--address", &server.address])
        .output()
        .await
        .expect("the CLI runs");
    assert!(made.status.success(), "{made:?}");
    // Also if the service does not allow listing them, as Temporal Cloud.
    for refuses in [&[ADD][..], &[ADD, LIST]] {
        let said = start(refuses, "spring").await.err().expect("there are no such Search Attributes");
        for words in [
            "the namespace spring has no Search Attributes from_account and to_account, and the service does not let you create them \
             (not for you)",
            "temporal operator search-attribute create --namespace spring --name from_account --type Keyword --name to_account \
             --type Keyword",
            "on Temporal Cloud, an admin of the namespace adds them",
        ] {
            assert!(said.contains(words), "{refuses:?}: {said}");
        }
    }
    // One lab is allowed to create them; then the others need no permission.
    for (refuses, made) in [(&[LIST][..], 1), (&[ADD, LIST, REGISTER], 0)] {
        let (gateway, _front) =
            start(refuses, "spring").await.unwrap_or_else(|said| panic!("{refuses:?}: {said}"));
        let (_, link) = gateway.get("/link").await;
        assert_eq!(link["findings"]["made"].as_array().map(Vec::len), Some(made), "{refuses:?}: {link}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_service_is_reported_with_its_address() {
    let said = Program::try_start(Start { flags: &["--address", "127.0.0.1:1"], ..Start::default() }).await;
    let said = said.err().expect("nobody listens there");
    assert!(
        said.contains("could not reach a Temporal Service at 127.0.0.1:1")
            && said.contains("nothing listens there"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_found_by_name_and_variables_take_precedence() {
    let testbed = Testbed::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("temporal.toml");
    let text = format!(
        "[profile.class]\naddress = \"{}\"\nnamespace = \"autumn\"\n[profile.other]\naddress = \"127.0.0.1:1\"\n",
        testbed.server_address()
    );
    std::fs::write(&file, text).expect("it can be written");
    let file = file.to_str().expect("it is text");
    let config = ("TEMPORAL_CONFIG_FILE", file);
    let class = Program::start(Start { flags: &["--profile", "class"], environment: &[config] }).await;
    assert_eq!(class.get("/link").await.1["namespace"], "autumn");
    let by_variables = [config, ("TEMPORAL_PROFILE", "class"), ("TEMPORAL_NAMESPACE", "winter")];
    let winter = Program::start(Start { environment: &by_variables, ..Start::default() }).await;
    assert_eq!(winter.get("/link").await.1["namespace"], "winter");
    for (flags, words) in [(["--profile", "nobody"], "nobody"), (["--profile", "other"], "127.0.0.1:1")] {
        let said = Program::try_start(Start { flags: &flags, environment: &[config] }).await;
        let said = said.err().expect("it cannot be used");
        assert!(said.starts_with("error: ") && said.contains(words), "{flags:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_recovers_when_the_service_comes_back() {
    let mut testbed = Testbed::start_keeping().await;
    let gateway =
        Program::start(Start { flags: &["--address", testbed.server_address()], ..Start::default() }).await;
    testbed.server.stop();
    testbed.server.start_again().await;
    until("it answers again", || async {
        let (status, answer) = gateway.get("/api/v1/namespaces/default").await;
        if status == 200 { Ok(()) } else { Err(answer) }
    })
    .await;
}
