import Hummingbird
import Logging
import NIOCore

/// Builds the router, its middleware and the HTTP server around an engine. Starts nothing.
///
/// Callable from tests with any engine; `serve` passes the real one.
func buildApplication(
    engine: any ModelEngine, configuration: ServerConfiguration, logger: Logger,
    shutdown: ShutdownMoments = ShutdownMoments(), metrics: ServerMetrics = ServerMetrics()
) -> Application<RouterResponder<ServerContext>> {
    let services = ServerServices(
        engine: engine, limits: configuration.requestLimits, shutdown: shutdown, metrics: metrics)
    let routes = RouteTable.of(services)
    let router = Router(context: ServerContext.self, options: .autoGenerateHeadEndpoints)
    router.add(middleware: RequestIDMiddleware())
    router.add(middleware: RequestLogMiddleware(metrics: metrics))
    router.add(middleware: BrowserGuardMiddleware())
    router.add(middleware: ErrorMiddleware(routes: routes))
    addRoutes(to: router, services: services, routes: routes)
    return Application(
        router: router,
        server: .http1(
            configuration: .init(idleTimeout: .nanoseconds(Int64(configuration.idleTimeout.seconds * 1e9)))),
        configuration: ApplicationConfiguration(address: .hostname(configuration.host, port: configuration.port)),
        logger: logger)
}

/// Every route of the daemon.
private func addRoutes(to router: Router<ServerContext>, services: ServerServices, routes: RouteTable) {
    CompletionsController(services: services).addRoutes(to: router)
    DocumentsController(services: services).addRoutes(to: router)
    JobsController(services: services).addRoutes(to: router)
    MemoryController(services: services).addRoutes(to: router)
    SessionsController(services: services).addRoutes(to: router)
    SpacesController(services: services).addRoutes(to: router)
    SnapshotsController(services: services).addRoutes(to: router)
    SiteController(services: services, routes: routes).addRoutes(to: router)
}

extension RouteTable {
    /// The routes as the controllers declare them, read off a router that serves nobody.
    static func of(_ services: ServerServices) -> RouteTable {
        let router = Router(context: ServerContext.self)
        addRoutes(to: router, services: services, routes: RouteTable([]))
        return RouteTable(router.routes)
    }
}
