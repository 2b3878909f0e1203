import org.junit.runner.Description;
import org.junit.runner.JUnitCore;
import org.junit.runner.notification.Failure;
import org.junit.runner.notification.RunListener;

/** Runs the named JUnit classes and says how each test went: "result passed|skipped|failed CLASS.METHOD MESSAGE". */
public final class RunTests {
  public static void main(String[] names) throws ClassNotFoundException {
    JUnitCore core = new JUnitCore();
    core.addListener(new Reporter());
    for (String name : names) core.run(Class.forName(name));
    // Some tests leave threads behind.
    System.exit(0);
  }

  private static final class Reporter extends RunListener {
    private String verdict = "passed";

    @Override
    public void testStarted(Description description) {
      verdict = "passed";
    }

    @Override
    public void testFailure(Failure failure) {
      verdict = "failed";
      // One of a whole class has no test that would finish.
      say(verdict, failure.getDescription(), failure.getMessage());
    }

    @Override
    public void testAssumptionFailure(Failure failure) {
      verdict = "skipped";
      say(verdict, failure.getDescription(), failure.getMessage());
    }

    @Override
    public void testFinished(Description description) {
      if (verdict.equals("passed")) say(verdict, description, null);
    }

    private static void say(String verdict, Description description, String message) {
      String text = message == null ? "" : message.lines().findFirst().orElse("");
      String name = description.getTestClass().getSimpleName() + "." + description.getMethodName();
      System.out.printf("%nresult %s %s %s%n", verdict, name, text);
    }
  }
}
