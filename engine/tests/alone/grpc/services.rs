//! Health, reflection, and how serving ends.

use std::time::Duration;

use foreshock_proto::v1::{WatchIncidentsRequest, incidents_client::IncidentsClient};
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use super::double::{Double, automatic};

async fn channel(double: &Double) -> Channel {
    Channel::from_shared(double.endpoint()).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn health_is_told_by_service() {
    let double = Double::start(automatic(60));
    let mut client = HealthClient::new(channel(&double).await);
    for service in ["", "foreshock.v1.Incidents", "foreshock.v1.RemediationBus"] {
        let service = service.to_string();
        let status = client.check(HealthCheckRequest { service }).await.unwrap().into_inner().status;
        assert_eq!(status, 1);
    }
    let unknown = client.check(HealthCheckRequest { service: "foreshock.v2".to_string() }).await;
    assert_eq!(unknown.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn services_are_reflected() {
    let double = Double::start(automatic(60));
    let mut client = ServerReflectionClient::new(channel(&double).await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response.unwrap();
    let MessageResponse::ListServicesResponse(list) = answer else { panic!("{answer:?}") };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["foreshock.v1.Incidents", "foreshock.v1.RemediationBus", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[tokio::test]
async fn open_streams_do_not_hold_up_the_end() {
    let mut double = Double::start(automatic(60));
    let mut client = IncidentsClient::new(channel(&double).await);
    let mut watch = client.watch(WatchIncidentsRequest { include_open: true }).await.unwrap().into_inner();
    let mut health = HealthClient::new(channel(&double).await);
    let mut states = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(states.message().await.unwrap().unwrap().status, 1);
    let began = std::time::Instant::now();
    let stopping = tokio::task::spawn_blocking(move || double.stop_serving());
    assert_eq!(watch.message().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(states.message().await.unwrap().unwrap().status, 2);
    stopping.await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}
