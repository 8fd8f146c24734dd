/** LocalStack starts DynamoDB Local with an agent that lifts the limit of 20 indexes a table. Nobody here needs that; this one does nothing. */
public class NoAgent {
  public static void premain(String arguments) {}
}
