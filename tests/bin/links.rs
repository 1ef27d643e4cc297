//! Where the links in messages lead, as the program says it before it sends one.

use vouchsafe_tests::process::Home;

#[tokio::test]
async fn links_that_lead_to_this_machine_alone_are_warned_of() {
    let home = Home::init().await;
    let email = "[notify.email]\nserver = \"smtp.example.com:587\"\nfrom = \"vault@example.com\"\n";
    home.configure(email);
    let checked = home.vouchsafed(["check-config"]).await.ok().to_string();
    assert!(checked.contains("warning: the links in messages (email)"), "{checked}");
    assert!(checked.contains("set http.public_url"), "{checked}");
    home.configure(&format!("[http]\npublic_url = \"https://vault.example.com\"\n\n{email}"));
    let checked = home.vouchsafed(["check-config"]).await.ok().to_string();
    assert!(checked.contains("all is well") && !checked.contains("warning"), "{checked}");
    home.configure("[http]\npublic_url = \"http://vault.example.com\"\n");
    let checked = home.vouchsafed(["check-config"]).await.failed(1).to_string();
    assert!(checked.contains("without TLS browsers keep nobody signed in"), "{checked}");
}
